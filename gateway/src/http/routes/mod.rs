//! Operations: their table, their handlers, and the router over them.

mod biometric;
mod bws;
mod docs;
mod face_liveness;
mod health;
pub(in crate::http) mod operation;
pub(in crate::http) mod router;
mod sessions;
mod signing;
