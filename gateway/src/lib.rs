//! The gateway of Faceline: HTTP, authentication, admission, and the way of a request to the workers and back.

pub mod accounts;
pub mod admission;
pub mod command;
pub mod families;
pub mod fault;
mod gateway;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod proto;
pub mod request;
pub mod sessions;
pub mod signing;
mod timestamp;
pub mod usage;

pub use self::gateway::{Gateway, GatewayError, run};
