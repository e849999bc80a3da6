//! Tests of the gateway's listener over real sockets, with workers that answer from a script.
#![expect(
    clippy::unwrap_used,
    reason = "what clippy.toml allows in tests does not reach the functions that they share"
)]

mod accounts;
mod bws;
mod capture_tokens;
mod client;
mod client_bounds;
mod connections;
mod contract;
mod docs;
mod ends;
mod expectation;
mod face_liveness;
mod forms;
mod gateway;
mod idempotency;
mod limits;
mod log;
mod matrix;
mod observed;
mod operations;
mod pictures;
mod refusals;
mod refused_bodies;
mod replay_cleanup;
mod replay_records;
mod replays;
mod sealed_facts;
mod server;
mod signatures;
mod signed;
mod stores;
mod tls;
mod upload;
mod url_input;
mod usage;
mod usage_facts;
mod usage_outage;
mod web;
mod web_capture;
mod workers;
