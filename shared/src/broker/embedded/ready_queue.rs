//! The waiting (ready) messages of one queue.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::broker::message::Message;

/// A message in a queue.
#[derive(Debug)]
pub(super) struct Entry {
    /// Number in the order of publication.
    pub(super) order: u64,
    pub(super) message: Message,
    /// Failed attempts in this queue.
    pub(super) attempts: u32,
    pub(super) expires_at: Option<Instant>,
}

/// Entries in the order of publication. A requeued entry returns to its old position, so no later message overtakes it.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl ReadyQueue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.bytes += entry.message.body.len();
        let position = self.entries.partition_point(|other| other.order < entry.order);
        self.entries.insert(position, entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.message.body.len();
        Some(entry)
    }

    /// Removes the head if it has expired. As in RabbitMQ, an expired message stays while it is behind a live head.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Entry> {
        self.next_expiry().filter(|expiry| *expiry <= now)?;
        self.pop()
    }

    /// The time at which the head expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.front()?.expires_at
    }
}
