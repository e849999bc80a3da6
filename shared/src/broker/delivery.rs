//! Deliveries and their settlement.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::message::Message;

/// Decision of a consumer about a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settlement {
    /// Acknowledge: the message is done.
    Ack,
    /// Reject and requeue at the head as a failed attempt, which raises the message's delivery count.
    Failed,
    /// Requeue without having started. This does not count as a failed attempt. Over RabbitMQ the message goes to the end of its
    /// queue, because versions before 4.3 count every message that returns to the head.
    GiveBack,
    /// Reject without requeue: the message goes to the dead letters.
    DeadLetter,
}

/// Error of a settlement that had no effect. The broker delivers the message again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettleError {
    /// The delivery was settled before.
    #[error("the delivery is settled already")]
    AlreadySettled,
    /// The connection that delivered the message is lost, and the broker has requeued the message.
    #[error("the connection that delivered the message is gone")]
    Gone,
}

/// The part of a delivery that an adapter implements.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Sends the settlement to the broker.
    ///
    /// # Errors
    /// [`SettleError::Gone`]: the connection is lost, and nothing was sent.
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError>;

    /// Waits until the broker has processed every settlement that was sent on the delivery's channel.
    ///
    /// # Errors
    /// [`SettleError::Gone`]: the connection was lost before the broker confirmed it.
    async fn flush_settlements(&self) -> Result<(), SettleError>;

    /// Settles a delivery that was dropped unsettled as a failed attempt.
    fn abandon(&self);
}

/// A delivered message. Dropping it unsettled counts as a failed attempt.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Failed attempts in this queue since the message was last published to it (the broker's delivery count).
    pub attempts: u32,
    is_settled: AtomicBool,
    settle: Box<dyn Settle>,
}

impl Delivery {
    /// A delivery of an adapter.
    #[must_use]
    pub fn new(message: Message, attempts: u32, settle: Box<dyn Settle>) -> Self {
        Self { message, attempts, is_settled: AtomicBool::new(false), settle }
    }

    /// Failed attempts since the gateway published the message.
    #[must_use]
    pub fn total_attempts(&self) -> u32 {
        self.message.earlier_attempts.saturating_add(self.attempts)
    }

    /// Settles the message, once. On success the settlement was sent; [`Delivery::flush_settlements`] tells when the
    /// broker has processed it.
    ///
    /// # Errors
    /// [`SettleError::AlreadySettled`] at the second call, [`SettleError::Gone`] if the connection is lost.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        if self.is_settled.swap(true, Ordering::AcqRel) {
            return Err(SettleError::AlreadySettled);
        }
        self.settle.settle(settlement).await
    }

    /// Waits until the broker has processed the settlement. Until then, the end of this process may undo it: a broker
    /// can discard what it has read from a connection that breaks.
    ///
    /// # Errors
    /// [`SettleError::Gone`]: the connection was lost, and the settlement may have been processed or not.
    pub async fn flush_settlements(&self) -> Result<(), SettleError> {
        self.settle.flush_settlements().await
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("id", &self.message.id)
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            self.settle.abandon();
        }
    }
}
