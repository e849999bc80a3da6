//! Code that gateway and worker share: messages, domain types, the ports to broker, blob store and object store with
//! their adapters, sealing and keys, settings, telemetry, and start-up.

mod allocator;

pub mod admin;
pub mod announcement;
pub mod blob;
pub mod broker;
pub mod certificate;
pub mod digest;
pub mod face;
pub mod job;
pub mod key_agreement;
pub mod keys;
pub mod liveness;
mod message_pack;
pub mod object;
pub mod program;
pub mod redact;
#[cfg(feature = "redis")]
pub mod redis;
pub mod replay;
pub mod retry;
pub mod score;
pub mod seal;
pub mod secret_file;
pub mod services;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod tls;
pub mod watched_file;
