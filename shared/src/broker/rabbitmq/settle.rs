//! Settles deliveries.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions, ConfirmSelectOptions};
use lapin::{Acker, Channel};
use tokio::runtime::Handle;

use super::connection::{BrokerConnection, with_response_timeout};
use crate::broker::delivery::{Settle, SettleError, Settlement};

/// Settles one delivery.
pub(super) struct RabbitMqSettle {
    acker: Acker,
    runtime: Handle,
    // The delivery can be settled while its channel and its connection live, so both are kept.
    channel: Channel,
    _connection: Arc<BrokerConnection>,
}

impl RabbitMqSettle {
    pub(super) fn new(acker: Acker, channel: Channel, connection: Arc<BrokerConnection>) -> Self {
        Self { acker, runtime: Handle::current(), channel, _connection: connection }
    }
}

async fn settle(acker: &Acker, settlement: Settlement) -> lapin::Result<bool> {
    match settlement {
        Settlement::Ack => acker.ack(BasicAckOptions::default()).await,
        Settlement::Failed => acker.reject(BasicRejectOptions { requeue: true }).await,
        // RabbitMQ from 4.0 on counts reject as a failed attempt, and nack not.
        Settlement::GiveBack => acker.nack(BasicNackOptions { requeue: true, multiple: false }).await,
        Settlement::DeadLetter => acker.reject(BasicRejectOptions { requeue: false }).await,
    }
}

#[async_trait]
impl Settle for RabbitMqSettle {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        match settle(&self.acker, settlement).await {
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
        self.runtime.spawn(async move { settle(&acker, Settlement::Failed).await });
    }
}
