//! Connections: `server` accepts them, within the limit of open files (`open_files`) and with TLS (`tls`);
//! `connection` serves one until it ends, and `proxies` finds out whose it is. `activity` knows which connections are idle and
//! for how long; `tracked_stream` reports to it that a request begins, `request_body` that one is read, `tracked_body` that a
//! caller is reading.

mod activity;
mod connection;
pub(in crate::http) mod open_files;
mod proxies;
pub(in crate::http) mod server;
pub(in crate::http) mod tls;
mod tracked_body;
mod tracked_stream;
