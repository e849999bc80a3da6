//! The public listener: HTTP/1.1, HTTP/2 and gRPC. No other module knows axum.
//!
//! A request passes `listener` (its connection), `protocol` (HTTP/1.1 or HTTP/2), `layers` (the middleware of all
//! requests), `routes` (the handler of its operation), `intake` (credentials, limits and admission, then the body), the
//! family's service in `crate::families`, and `answer`. `operations` is the table of all operations. `grpc` holds the
//! wire format of gRPC, `openapi` the description of the API, and `state` the state that all handlers share.

mod answer;
mod client_metrics;
mod family;
mod grpc;
pub mod intake;
mod layers;
mod listener;
mod metrics;
mod openapi;
pub mod operations;
mod protocol;
mod routes;
mod state;

pub use self::family::Family;
pub use self::listener::open_files::possible_connections;
pub use self::listener::server::{ListenError, Server};
pub use self::listener::tls::{TlsError, certificate_chain};
pub use self::state::{Families, GatewayState};
