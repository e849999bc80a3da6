//! Sessions with their faces and pictures, and the work that follows when they end.
//!
//! A session ends when its time is over or a caller deletes it. Requests that work on it are then answered as if it had never
//! existed, [`OutboxProcessor`] deletes its pictures, and the log gets an audit record.

mod client_bounds;
mod ends;
pub mod face;
mod faces;
mod faults;
mod follow_up;
mod idempotency;
pub(crate) mod media_type;
mod metrics;
mod outbox;
mod pictures;
mod record;
mod replays;
mod service;

pub(crate) use self::faults::object_fault;
pub(crate) use self::follow_up::FollowUp;
pub use self::idempotency::{Claimed, IdempotencyClaim, IdempotentRequest};
pub use self::outbox::OutboxProcessor;
pub use self::record::{KeptPicture, Session, SessionFace};
pub use self::service::{SessionHandle, Sessions};
