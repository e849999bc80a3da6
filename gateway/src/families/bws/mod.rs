//! BWS, the BioID Web Service: liveness detection and photo verification, independent of HTTP and gRPC.
//!
//! [`Bws`] checks a request (`request.rs`), sends its pictures to a worker, judges the findings (`judgement.rs`,
//! `video.rs`, `verification_level.rs`) and creates the answer (`answer.rs`). `messages.rs` converts to and from the
//! gRPC messages.

pub mod answer;
mod failure;
mod judgement;
mod messages;
mod request;
mod service;
mod verification_level;
mod video;

pub use self::request::{Detection, LiveImage, Verification};
pub use self::service::Bws;
