//! Connections. `server` accepts them, within the limit of open files (`open_files`) and with TLS (`tls`). `connection`
//! serves one until it ends, and `proxies` determines its caller's address. `activity` records which connections are
//! idle, and since when. Three modules report to it: `tracked_stream` when a request begins, `request_body` (in
//! `protocol`) while a body is being read, `tracked_body` when the caller reads an answer.

mod activity;
mod connection;
pub(in crate::http) mod open_files;
mod proxies;
pub(in crate::http) mod server;
pub(in crate::http) mod tls;
mod tracked_body;
mod tracked_stream;
