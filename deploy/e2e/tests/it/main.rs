//! Tests that start programs as processes, as operators do.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is not as expected ends a test")]
#![allow(clippy::disallowed_methods, reason = "tests read environment variables")]

mod autoscaling;
mod broker;
mod burst;
mod bws;
mod callback_receiver;
mod client;
mod cluster;
mod conversion;
mod doctor;
mod drain;
mod failover;
mod groups;
mod haproxy;
mod hostile;
mod images;
mod keys;
mod limits;
mod liveness_tool;
mod manifests;
mod models;
mod monitoring;
mod openapi;
mod oracle;
mod overload;
mod own_model;
mod poison;
mod process;
mod programs;
mod prometheus;
mod proxies;
mod queue_command;
mod raw;
mod replay;
mod rollout;
mod sealed_faces;
mod sealing;
mod sessions;
mod signing;
mod standalone;
mod traces;
mod upgrade;
mod usage;
mod usage_outage;
mod worker_objects;
