//! Tests that start programs: everything here runs the way an operator would run it.
#![allow(clippy::disallowed_methods, reason = "tests look at their environment")]

mod client;
mod cluster;
mod poison;
mod process;
mod standalone;
