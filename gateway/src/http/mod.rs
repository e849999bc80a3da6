//! The public listener: the only place that knows axum.

mod answer;
mod basic;
mod biometric;
mod body;
mod bws;
mod connection;
mod content_type;
mod cors;
mod descriptors;
mod docs;
mod drain;
mod face_liveness;
mod family;
mod grpc;
mod health;
mod idempotency;
mod idle;
mod layers;
pub mod multipart;
mod openapi;
mod operation;
mod receive;
mod refusal_log;
mod router;
mod sent;
mod server;
mod sessions;
mod signing;
mod state;
mod tls;

pub use self::operation::{OPERATIONS, Operation};
pub use self::server::{ListenError, Server};
pub use self::state::{Families, State};
pub use self::tls::TlsError;
