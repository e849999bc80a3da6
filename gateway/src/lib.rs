//! The gateway of Faceline: HTTP, authentication, admission, and the way of a request to the workers and back.

pub mod accounts;
pub mod admission;
pub mod biometric;
pub mod bws;
pub mod call;
pub mod command;
pub mod face;
pub mod face_liveness;
mod follow;
pub mod form;
pub mod http;
pub mod jobs;
pub mod json;
mod media_type;
pub mod orders;
pub mod outbound;
pub mod proto;
pub mod record;
mod role;
pub mod sessions;
pub mod signing;
mod stamp;
pub mod submit;
mod turns;
pub mod usage;

pub use self::role::{Gateway, GatewayError, run};
