//! Connections: accepting, TLS, HTTP/1.1 and HTTP/2, idling, ageing.

mod connection;
mod idle;
mod open_files;
mod sent;
pub(in crate::http) mod server;
pub(in crate::http) mod tls;
