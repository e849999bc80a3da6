//! The state of the embedded broker: queues, consumers and unsettled deliveries. Its methods take the present time as
//! an argument and never wait.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::QueueBounds;
use super::ready_queue::{Entry, ReadyQueue};
use crate::broker::delivery::Settlement;
use crate::broker::message::Message;
use crate::broker::port::{Depth, Published};
use crate::broker::queue::{DEAD_LETTER_TTL, DELIVERY_LIMIT, Queue, reply_queue_name};

/// Identifies an entry, a consumer or a delivery. No id is used twice.
pub(super) type Id = u64;

struct Consumer {
    queue: Queue,
    prefetch: usize,
    unsettled: usize,
}

struct Unsettled {
    queue: Queue,
    consumer: Id,
    entry: Entry,
}

/// Result of taking a message from a queue.
#[derive(Debug)]
pub(super) enum Taken {
    /// A message, which the consumer settles by `tag`.
    Delivery { tag: Id, message: Message, attempts: u32 },
    /// The queue is empty or the prefetch is used up. The consumer tries again after a change, or when the next message
    /// expires.
    Empty { next_expiry: Option<Instant> },
    /// The consumer or its queue was removed.
    Gone,
}

pub(super) struct EmbeddedState {
    bounds: QueueBounds,
    queues: HashMap<Queue, ReadyQueue>,
    consumers: HashMap<Id, Consumer>,
    unsettled: HashMap<Id, Unsettled>,
    last_id: Id,
    is_closed: bool,
}

impl EmbeddedState {
    pub(super) fn new(bounds: QueueBounds) -> Self {
        Self {
            bounds,
            queues: Queue::DURABLE.into_iter().map(|queue| (queue, ReadyQueue::default())).collect(),
            consumers: HashMap::new(),
            unsettled: HashMap::new(),
            last_id: 0,
            is_closed: false,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn publish(&mut self, queue: &Queue, message: Message, now: Instant) -> Published {
        if self.is_closed {
            return Published::Unreachable;
        }
        self.expire(now);
        let Some(ready) = self.queues.get(queue) else {
            return Published::Returned;
        };
        let full = ready.len() as u64 >= self.bounds.max_length
            || (ready.bytes() + message.body.len()) as u64 > self.bounds.max_length_bytes;
        let wait = message.expiration;
        match queue {
            Queue::DeadLetters => self.dead_letter(message, now),
            Queue::Reply(_) => self.append(queue, message, wait, now),
            Queue::Interactive | Queue::Replay | Queue::Quarantine | Queue::Results if full => {
                return Published::Full;
            }
            Queue::Interactive | Queue::Replay | Queue::Quarantine | Queue::Results => {
                self.append(queue, message, wait, now);
            }
        }
        Published::Accepted
    }

    pub(super) fn add_consumer(&mut self, queue: Queue, prefetch: u16) -> Id {
        let id = self.next_id();
        let consumer = Consumer { queue, prefetch: usize::from(prefetch).max(1), unsettled: 0 };
        self.consumers.insert(id, consumer);
        id
    }

    /// Opens a reply queue with its consumer. Returns the queue's name and the consumer's id.
    pub(super) fn open_reply(&mut self, instance: &str, prefetch: u16) -> (String, Id) {
        let name = reply_queue_name(instance, self.next_id());
        let queue = Queue::Reply(name.clone());
        self.queues.insert(queue.clone(), ReadyQueue::default());
        (name, self.add_consumer(queue, prefetch))
    }

    /// Removes a consumer, and its queue if that is a reply queue. Its unsettled deliveries can still be settled.
    pub(super) fn remove_consumer(&mut self, id: Id) {
        if let Some(Consumer { queue: queue @ Queue::Reply(_), .. }) = self.consumers.remove(&id) {
            self.queues.remove(&queue);
        }
    }

    pub(super) fn take(&mut self, id: Id, now: Instant) -> Taken {
        self.expire(now);
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return Taken::Gone;
        };
        let Some(ready) = self.queues.get_mut(&consumer.queue) else {
            return Taken::Gone;
        };
        let entry = if consumer.unsettled < consumer.prefetch { ready.pop() } else { None };
        let Some(entry) = entry else {
            let next_expiry = self.queues.values().filter_map(ReadyQueue::next_expiry).min();
            return Taken::Empty { next_expiry };
        };
        consumer.unsettled += 1;
        let queue = consumer.queue.clone();
        let (message, attempts) = (entry.message.clone(), entry.attempts);
        let tag = self.next_id();
        self.unsettled.insert(tag, Unsettled { queue, consumer: id, entry });
        Taken::Delivery { tag, message, attempts }
    }

    /// Settles a delivery; false if it is not unsettled any more.
    pub(super) fn settle(&mut self, tag: Id, settlement: Settlement, now: Instant) -> bool {
        let Some(Unsettled { queue, consumer, mut entry }) = self.unsettled.remove(&tag) else {
            return false;
        };
        if let Some(consumer) = self.consumers.get_mut(&consumer) {
            consumer.unsettled -= 1;
        }
        entry.attempts += u32::from(settlement == Settlement::Failed);
        match settlement {
            Settlement::Ack => (),
            Settlement::Failed if entry.attempts > DELIVERY_LIMIT => self.discard(&queue, entry, now),
            Settlement::DeadLetter => self.discard(&queue, entry, now),
            Settlement::Failed | Settlement::GiveBack => {
                // A lost reply queue loses its messages too.
                if let Some(ready) = self.queues.get_mut(&queue) {
                    ready.insert(entry);
                }
            }
        }
        true
    }

    pub(super) fn depth(&mut self, queue: &Queue, now: Instant) -> Option<Depth> {
        self.expire(now);
        let ready = self.queues.get(queue)?.len() as u64;
        let consumers = self.consumers.values().filter(|consumer| consumer.queue == *queue).count() as u64;
        Some(Depth { ready, consumers })
    }

    /// Simulates the loss of all connections: deliveries return as failed attempts, and reply queues are lost.
    #[cfg(feature = "testkit")]
    pub(super) fn interrupt(&mut self, now: Instant) {
        for tag in self.unsettled.keys().copied().collect::<Vec<_>>() {
            self.settle(tag, Settlement::Failed, now);
        }
        self.queues.retain(|queue, _| !matches!(queue, Queue::Reply(_)));
        self.consumers.retain(|_, consumer| !matches!(consumer.queue, Queue::Reply(_)));
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.queues.clear();
        self.consumers.clear();
        self.unsettled.clear();
    }

    fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    fn append(&mut self, queue: &Queue, message: Message, wait: Option<Duration>, now: Instant) {
        let order = self.next_id();
        if let Some(ready) = self.queues.get_mut(queue) {
            let expires_at = wait.and_then(|wait| now.checked_add(wait));
            ready.insert(Entry { order, message, attempts: 0, expires_at });
        }
    }

    /// Dead-letters an entry, unless `queue` has no dead letters (reply queues and the dead letters themselves).
    fn discard(&mut self, queue: &Queue, entry: Entry, now: Instant) {
        if !matches!(queue, Queue::DeadLetters | Queue::Reply(_)) {
            self.dead_letter(entry.message, now);
        }
    }

    fn dead_letter(&mut self, message: Message, now: Instant) {
        let message = Message { expiration: None, ..message };
        self.append(&Queue::DeadLetters, message, Some(DEAD_LETTER_TTL), now);
        let Some(dead) = self.queues.get_mut(&Queue::DeadLetters) else { return };
        while dead.len() as u64 > self.bounds.max_dead_letters
            || dead.bytes() as u64 > self.bounds.max_dead_letter_bytes
        {
            dead.pop();
        }
    }

    /// Dead-letters all expired messages.
    fn expire(&mut self, now: Instant) {
        let mut expired = Vec::new();
        for (queue, ready) in &mut self.queues {
            while let Some(entry) = ready.pop_expired(now) {
                expired.push((queue.clone(), entry));
            }
        }
        for (queue, entry) in expired {
            self.discard(&queue, entry, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state() -> EmbeddedState {
        EmbeddedState::new(QueueBounds {
            max_length: 3,
            max_length_bytes: 100,
            max_dead_letters: 2,
            max_dead_letter_bytes: 80,
        })
    }

    fn message(body: &'static str) -> Message {
        Message {
            id: Uuid::now_v7(),
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn take(state: &mut EmbeddedState, consumer: Id, now: Instant) -> Option<(Id, Bytes, u32)> {
        match state.take(consumer, now) {
            Taken::Delivery { tag, message, attempts } => Some((tag, message.body, attempts)),
            Taken::Empty { .. } | Taken::Gone => None,
        }
    }

    #[test]
    fn what_comes_back_finds_its_old_place() {
        let (mut state, now) = (state(), Instant::now());
        for body in ["a", "b", "c"] {
            state.publish(&Queue::Interactive, message(body), now);
        }
        let consumer = state.add_consumer(Queue::Interactive, 2);
        let (first, _, _) = take(&mut state, consumer, now).unwrap();
        let (second, _, _) = take(&mut state, consumer, now).unwrap();
        assert!(state.settle(first, Settlement::GiveBack, now));
        assert!(state.settle(second, Settlement::Failed, now));

        let next = [0; 2].map(|_| take(&mut state, consumer, now).unwrap());
        assert_eq!(next.map(|(_, body, attempts)| (body, attempts)), [("a".into(), 0), ("b".into(), 1)]);
    }

    #[test]
    fn bytes_bound_a_queue_as_well() {
        let (mut state, now) = (state(), Instant::now());
        let large = Message { body: Bytes::from(vec![0; 60]), ..message("") };
        assert_eq!(state.publish(&Queue::Replay, large.clone(), now), Published::Accepted);
        assert_eq!(state.publish(&Queue::Replay, large.clone(), now), Published::Full);
        assert_eq!(state.publish(&Queue::Results, large, now), Published::Accepted);
    }

    #[test]
    fn only_the_newest_dead_letters_are_kept_and_only_for_a_day() {
        let (mut state, now) = (state(), Instant::now());
        let consumer = state.add_consumer(Queue::Interactive, 1);
        for body in ["a", "b", "c"] {
            state.publish(&Queue::Interactive, message(body), now);
            let (tag, _, _) = take(&mut state, consumer, now).unwrap();
            state.settle(tag, Settlement::DeadLetter, now);
        }
        let reader = state.add_consumer(Queue::DeadLetters, 1);
        let (tag, body, _) = take(&mut state, reader, now).unwrap();
        assert_eq!(body, "b");
        state.settle(tag, Settlement::GiveBack, now);

        let later = now + DEAD_LETTER_TTL;
        assert_eq!(state.depth(&Queue::DeadLetters, later - SECOND).unwrap().ready, 2);
        assert_eq!(state.depth(&Queue::DeadLetters, later).unwrap().ready, 0);
    }

    #[test]
    fn the_oldest_dead_letters_make_room_in_bytes() {
        let (mut state, now) = (state(), Instant::now());
        let large = |first| {
            let mut body = vec![0; 50];
            body[0] = first;
            Message { body: Bytes::from(body), ..message("") }
        };
        for first in [1, 2] {
            state.publish(&Queue::DeadLetters, large(first), now);
        }
        let reader = state.add_consumer(Queue::DeadLetters, 1);
        assert_eq!(take(&mut state, reader, now).unwrap().1[0], 2);
        assert_eq!(state.depth(&Queue::DeadLetters, now).unwrap().ready, 0);
        // One that alone exceeds the bound is not kept.
        state.publish(&Queue::DeadLetters, Message { body: Bytes::from(vec![0; 81]), ..message("") }, now);
        assert_eq!(state.depth(&Queue::DeadLetters, now).unwrap().ready, 0);
    }

    #[test]
    fn who_waits_knows_when_the_next_message_expires() {
        let (mut state, now) = (state(), Instant::now());
        let expiring = Message { expiration: Some(SECOND), ..message("a") };
        state.publish(&Queue::Interactive, expiring, now);
        let reader = state.add_consumer(Queue::DeadLetters, 1);
        assert!(
            matches!(state.take(reader, now), Taken::Empty { next_expiry: Some(until) } if until == now + SECOND)
        );
        assert_eq!(take(&mut state, reader, now + SECOND).unwrap().1, "a");
    }

    #[test]
    fn nothing_can_be_settled_after_the_end() {
        let (mut state, now) = (state(), Instant::now());
        state.publish(&Queue::Interactive, message("a"), now);
        let consumer = state.add_consumer(Queue::Interactive, 1);
        let (tag, _, _) = take(&mut state, consumer, now).unwrap();
        state.close();
        assert!(!state.settle(tag, Settlement::Ack, now));
        assert_eq!(state.publish(&Queue::Interactive, message("b"), now), Published::Unreachable);
    }
}
