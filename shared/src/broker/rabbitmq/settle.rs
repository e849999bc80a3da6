//! Settles deliveries.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicRejectOptions, ConfirmSelectOptions};
use lapin::{Acker, Channel};
use tokio::runtime::Handle;

use super::connection::{BrokerConnection, with_response_timeout};
use super::give_back::GiveBack;
use crate::broker::delivery::{Settle, SettleError, Settlement};
use crate::broker::message::Message;

/// Settles one delivery.
pub(super) struct RabbitMqSettle {
    acker: Acker,
    give_back: GiveBack,
    message: Message,
    /// Failed attempts in this queue.
    attempts: u32,
    runtime: Handle,
    // The delivery can be settled while its channel and its connection live, so both are kept.
    channel: Channel,
    _connection: Arc<BrokerConnection>,
}

impl RabbitMqSettle {
    pub(super) fn new(
        (message, attempts, acker): (Message, u32, Acker),
        give_back: GiveBack,
        channel: Channel,
        connection: Arc<BrokerConnection>,
    ) -> Self {
        let runtime = Handle::current();
        Self { acker, give_back, message, attempts, runtime, channel, _connection: connection }
    }
}

/// Requeues as a failed attempt, which every RabbitMQ counts.
async fn fail(acker: &Acker) -> lapin::Result<bool> {
    acker.reject(BasicRejectOptions { requeue: true }).await
}

#[async_trait]
impl Settle for RabbitMqSettle {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        let settled = match settlement {
            Settlement::Ack => self.acker.ack(BasicAckOptions::default()).await,
            Settlement::Failed => fail(&self.acker).await,
            Settlement::GiveBack => self.give_back.give_back(&self.acker, &self.message, self.attempts).await,
            Settlement::DeadLetter => self.acker.reject(BasicRejectOptions { requeue: false }).await,
        };
        match settled {
            Ok(true) => Ok(()),
            // False: the channel was closed before, and nothing was sent.
            Ok(false) | Err(_) => Err(SettleError::Gone),
        }
    }

    async fn flush_settlements(&self) -> Result<(), SettleError> {
        // AMQP has no response to a settlement. The broker processes the frames of a channel in order, so the response
        // to any later request confirms them. `confirm.select` has no effect on a channel on which nobody publishes.
        let barrier = with_response_timeout(self.channel.confirm_select(ConfirmSelectOptions::default()));
        barrier.await.map_err(|_| SettleError::Gone)
    }

    fn abandon(&self) {
        let acker = self.acker.clone();
        // An error means that the broker has requeued the message already.
        self.runtime.spawn(async move { fail(&acker).await });
    }
}
