//! The gateway of Faceline: HTTP, authentication, admission, and the way of a request to the workers and back.

pub mod jobs;
