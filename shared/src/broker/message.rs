//! Messages.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

/// A message as the broker sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Id of the job that the message belongs to. Consumers deduplicate by it.
    pub id: Uuid,
    /// Name of the queue for the answer.
    pub reply_to: Option<String>,
    /// The broker dead-letters the message after it has waited this long.
    pub expiration: Option<Duration>,
    /// Failed attempts before this message was published. A job that moves to quarantine or is given back carries its attempts
    /// along.
    pub earlier_attempts: u32,
    /// The encoded envelope.
    pub body: Bytes,
}
