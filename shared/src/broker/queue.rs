//! The queues and their names.

use std::time::Duration;

/// The delivery limit: after this many failed attempts the broker itself dead-letters a message. Workers quarantine and
/// reject a poison message much earlier; this is the safety net.
pub const DELIVERY_LIMIT: u32 = 20;

/// Dead letters are deleted after this time.
pub const DEAD_LETTER_TTL: Duration = Duration::from_hours(24);

/// A queue.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Queue {
    /// Jobs whose caller waits for the answer.
    Interactive,
    /// Jobs about videos, which take longer than those about pictures.
    Replay,
    /// Possibly poisonous jobs: a worker died while it had them. Workers do them one at a time.
    Quarantine,
    /// Results of videos that nobody waits for. Every gateway consumes it.
    Results,
    /// Dead letters: messages that expired or failed too often. Operators read them.
    DeadLetters,
    /// Replies to one gateway instance. [`ReplyEvent::Opened`](super::ReplyEvent::Opened) carries the name.
    Reply(String),
}

impl Queue {
    /// The durable queues, which always exist.
    pub const DURABLE: [Self; 5] =
        [Self::Interactive, Self::Replay, Self::Quarantine, Self::Results, Self::DeadLetters];

    /// The queue that a message's `reply_to` names, where names have no prefix.
    #[must_use]
    pub(super) fn of_reply_to(name: &str) -> Self {
        let durable = Self::DURABLE.into_iter().find(|queue| queue.name() == name);
        durable.unwrap_or_else(|| Self::Reply(name.to_owned()))
    }

    /// The queue's name at the broker, without the configured prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Interactive => "faceline.jobs.interactive",
            Self::Replay => "faceline.jobs.replay",
            Self::Quarantine => "faceline.jobs.quarantine",
            Self::Results => "faceline.results",
            Self::DeadLetters => "faceline.dead",
            Self::Reply(name) => name,
        }
    }
}

/// Name of a gateway's reply queue. A generation is never used twice, so an answer to a lost queue cannot reach its
/// successor.
pub(super) fn reply_queue_name(instance: &str, generation: u64) -> String {
    format!("faceline.reply.{instance}.{generation}")
}
