//! Streams of deliveries and replies.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::Core;
use super::state::{Id, State, Take};
use crate::broker::{
    Deliveries, Delivery, REPLY_PREFETCH, Replies, ReplyEvent, Settle, SettleError, Settlement,
};

/// A consumer of one queue; forgotten by the broker when it is dropped.
pub(super) struct EmbeddedDeliveries {
    core: Arc<Core>,
    id: Id,
}

impl EmbeddedDeliveries {
    pub(super) fn new(core: Arc<Core>, id: Id) -> Self {
        Self { core, id }
    }
}

#[async_trait]
impl Deliveries for EmbeddedDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let changed = self.core.changed.notified();
            let until = match self.core.look(|state, now| state.take(self.id, now)) {
                Take::Delivery { tag, message, attempts } => {
                    let settle = Tag { core: Arc::clone(&self.core), tag };
                    return Some(Delivery::new(message, attempts, Box::new(settle)));
                }
                Take::Wait(until) => until,
                Take::Gone => return None,
            };
            // Somebody has to move messages whose time is over: it is those who wait.
            tokio::select! {
                () = changed => (),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => (),
            }
        }
    }
}

impl Drop for EmbeddedDeliveries {
    fn drop(&mut self) {
        self.core.change(|state, _| state.remove_consumer(self.id));
    }
}

/// One delivery's half in the broker.
struct Tag {
    core: Arc<Core>,
    tag: Id,
}

impl Tag {
    fn settle_now(&self, settlement: Settlement) -> Result<(), SettleError> {
        let settled = self.core.change(|state, now| state.settle(self.tag, settlement, now));
        if settled { Ok(()) } else { Err(SettleError::Gone) }
    }
}

#[async_trait]
impl Settle for Tag {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        self.settle_now(settlement)
    }

    async fn heard(&self) -> Result<(), SettleError> {
        Ok(())
    }

    fn abandon(&self) {
        // Nobody is left to be told that the delivery is gone.
        let _ = self.settle_now(Settlement::Failed);
    }
}

/// The replies to one gateway, over all generations of its queue.
pub(super) struct EmbeddedReplies {
    core: Arc<Core>,
    instance: String,
    generation: Option<EmbeddedDeliveries>,
}

impl EmbeddedReplies {
    pub(super) fn new(core: Arc<Core>, instance: &str) -> Self {
        Self { core, instance: instance.to_owned(), generation: None }
    }

    fn open(&mut self) -> Option<ReplyEvent> {
        let open = |state: &mut State, _| {
            (!state.is_closed()).then(|| state.open_reply(&self.instance, REPLY_PREFETCH))
        };
        let (queue, id) = self.core.look(open)?;
        self.generation = Some(EmbeddedDeliveries::new(Arc::clone(&self.core), id));
        Some(ReplyEvent::Opened { queue })
    }
}

#[async_trait]
impl Replies for EmbeddedReplies {
    async fn next(&mut self) -> Option<ReplyEvent> {
        let Some(generation) = &mut self.generation else {
            return self.open();
        };
        match generation.next().await {
            Some(delivery) => {
                // Where it fails the queue is gone, and the answer was the last one of it.
                let _ = delivery.settle(Settlement::Ack).await;
                Some(ReplyEvent::Reply(delivery.message.clone()))
            }
            None if self.core.look(|state, _| state.is_closed()) => None,
            None => {
                self.generation = None;
                Some(ReplyEvent::Lost)
            }
        }
    }
}
