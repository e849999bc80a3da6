//! The public listener: the only place that knows axum.

mod answer;
mod grpc;
pub mod intake;
mod layers;
mod listener;
mod openapi;
mod routes;
mod state;

pub use self::listener::server::{ListenError, Server};
pub use self::listener::tls::TlsError;
pub use self::routes::operation::{OPERATIONS, Operation};
pub use self::state::{Families, State};
