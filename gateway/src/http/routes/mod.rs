//! The handlers of all operations, and the router over them.
//!
//! `route` binds a handler to its row in the table of operations. `biometric`, `sessions`, `replays`, `bws`,
//! `face_liveness`, `signing`, `health`, `docs` and `web` hold the handlers. `router` wraps all routes in the layers.

mod biometric;
mod bws;
mod docs;
mod face_liveness;
mod health;
mod replays;
pub(in crate::http) mod route;
pub(in crate::http) mod router;
mod sessions;
mod signing;
mod upload;
mod web;
