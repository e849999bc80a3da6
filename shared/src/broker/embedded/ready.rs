//! The messages of one queue that wait.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::broker::Message;

/// A message in a queue.
#[derive(Debug)]
pub(super) struct Entry {
    /// Place in the order of publication.
    pub(super) order: u64,
    pub(super) message: Message,
    /// Failed attempts in this queue.
    pub(super) attempts: u32,
    pub(super) expires_at: Option<Instant>,
}

/// Entries in the order of their publication: one that comes back finds its old place, so nothing that was
/// published later overtakes it.
#[derive(Debug, Default)]
pub(super) struct Ready {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.bytes += entry.message.body.len();
        let place = self.entries.partition_point(|other| other.order < entry.order);
        self.entries.insert(place, entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.message.body.len();
        Some(entry)
    }

    /// The head, if its time is over. As in RabbitMQ, an expired message behind a head that lives waits.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Entry> {
        self.next_expiry().filter(|expiry| *expiry <= now)?;
        self.pop()
    }

    /// When the head expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.front()?.expires_at
    }
}
