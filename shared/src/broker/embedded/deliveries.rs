//! The streams of deliveries and of replies.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::core::EmbeddedCore;
use super::state::{EmbeddedState, Id, Taken};
use crate::broker::delivery::{Delivery, Settle, SettleError, Settlement};
use crate::broker::port::{Deliveries, REPLY_PREFETCH, Replies, ReplyEvent};

/// A consumer of one queue. Dropping it removes it from the broker.
pub(super) struct EmbeddedDeliveries {
    core: Arc<EmbeddedCore>,
    id: Id,
}

impl EmbeddedDeliveries {
    pub(super) fn new(core: Arc<EmbeddedCore>, id: Id) -> Self {
        Self { core, id }
    }
}

#[async_trait]
impl Deliveries for EmbeddedDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let changed = self.core.changed.notified();
            let next_expiry = match self.core.with_state(|state, now| state.take(self.id, now)) {
                Taken::Delivery { tag, message, attempts } => {
                    let settle = EmbeddedSettle { core: Arc::clone(&self.core), tag };
                    return Some(Delivery::new(message, attempts, Box::new(settle)));
                }
                Taken::Empty { next_expiry } => next_expiry,
                Taken::Gone => return None,
            };
            // The broker has no timer. A waiting consumer wakes at the next expiry and moves expired messages.
            tokio::select! {
                () = changed => (),
                () = sleep_until(next_expiry.unwrap_or_else(Instant::now)), if next_expiry.is_some() => (),
            }
        }
    }

    async fn close(&mut self) {
        self.core.change(|state, _| state.remove_consumer(self.id));
    }
}

impl Drop for EmbeddedDeliveries {
    fn drop(&mut self) {
        self.core.change(|state, _| state.remove_consumer(self.id));
    }
}

/// Settles one delivery.
struct EmbeddedSettle {
    core: Arc<EmbeddedCore>,
    tag: Id,
}

impl EmbeddedSettle {
    fn settle_now(&self, settlement: Settlement) -> Result<(), SettleError> {
        let settled = self.core.change(|state, now| state.settle(self.tag, settlement, now));
        if settled { Ok(()) } else { Err(SettleError::Gone) }
    }
}

#[async_trait]
impl Settle for EmbeddedSettle {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        self.settle_now(settlement)
    }

    async fn flush_settlements(&self) -> Result<(), SettleError> {
        Ok(())
    }

    fn abandon(&self) {
        // An error means that the delivery was requeued already.
        let _ = self.settle_now(Settlement::Failed);
    }
}

/// The replies to one gateway, over all generations of its reply queue.
pub(super) struct EmbeddedReplies {
    core: Arc<EmbeddedCore>,
    instance: String,
    deliveries: Option<EmbeddedDeliveries>,
}

impl EmbeddedReplies {
    pub(super) fn new(core: Arc<EmbeddedCore>, instance: &str) -> Self {
        Self { core, instance: instance.to_owned(), deliveries: None }
    }

    fn open(&mut self) -> Option<ReplyEvent> {
        let open = |state: &mut EmbeddedState, _| {
            (!state.is_closed()).then(|| state.open_reply(&self.instance, REPLY_PREFETCH))
        };
        let (queue, id) = self.core.with_state(open)?;
        self.deliveries = Some(EmbeddedDeliveries::new(Arc::clone(&self.core), id));
        Some(ReplyEvent::Opened { queue })
    }
}

#[async_trait]
impl Replies for EmbeddedReplies {
    async fn next(&mut self) -> Option<ReplyEvent> {
        let Some(deliveries) = &mut self.deliveries else {
            return self.open();
        };
        match deliveries.next().await {
            Some(delivery) => {
                // An error means that the queue is lost. The reply is still valid.
                let _ = delivery.settle(Settlement::Ack).await;
                Some(ReplyEvent::Reply(delivery.message.clone()))
            }
            None if self.core.with_state(|state, _| state.is_closed()) => None,
            None => {
                self.deliveries = None;
                Some(ReplyEvent::Lost)
            }
        }
    }
}
