//! The API families: how each reads a request, what it asks the workers, and how it words the answer.

pub mod biometric;
pub mod bws;
pub mod face_liveness;
pub mod form;
pub mod json;
