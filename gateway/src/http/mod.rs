//! The public listener: the only place that knows axum.

mod answer;
mod biometric;
mod body;
mod content_type;
mod descriptors;
mod docs;
mod drain;
mod health;
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

pub use self::server::Server;
pub use self::state::State;
