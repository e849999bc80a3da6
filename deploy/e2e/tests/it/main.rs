//! Tests that start programs: everything here runs the way an operator would run it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is not as expected ends a test")]
#![allow(clippy::disallowed_methods, reason = "tests look at their environment")]

mod bws;
mod client;
mod cluster;
mod conversion;
mod hostile;
mod keys;
mod limits;
mod models;
mod openapi;
mod overload;
mod poison;
mod process;
mod programs;
mod raw;
mod sessions;
mod signing;
mod standalone;
mod usage;
