//! Connections: `server` accepts them, within the limit of open files (`open_files`) and with TLS (`tls`);
//! `connection` serves one until it ends. `activity` knows which connections are idle and for how long;
//! `tracked_body` reports that a caller is reading.

mod activity;
mod connection;
mod open_files;
pub(in crate::http) mod server;
pub(in crate::http) mod tls;
mod tracked_body;
