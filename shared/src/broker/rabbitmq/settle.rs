//! Settling a delivery.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions, ConfirmSelectOptions};
use lapin::{Acker, Channel};
use tokio::runtime::Handle;

use super::link::{Link, answer};
use crate::broker::{Settle, SettleError, Settlement};

/// One delivery's half at the broker.
pub(super) struct Tag {
    acker: Acker,
    runtime: Handle,
    // Both have to live for as long as the delivery can be settled.
    channel: Channel,
    _link: Arc<Link>,
}

impl Tag {
    pub(super) fn new(acker: Acker, channel: Channel, link: Arc<Link>) -> Self {
        Self { acker, runtime: Handle::current(), channel, _link: link }
    }
}

async fn settle(acker: &Acker, settlement: Settlement) -> lapin::Result<bool> {
    match settlement {
        Settlement::Ack => acker.ack(BasicAckOptions::default()).await,
        Settlement::Failed => acker.reject(BasicRejectOptions { requeue: true }).await,
        // From RabbitMQ 4.0 on this does not count as an attempt, which reject does.
        Settlement::GiveBack => acker.nack(BasicNackOptions { requeue: true, multiple: false }).await,
        Settlement::DeadLetter => acker.reject(BasicRejectOptions { requeue: false }).await,
    }
}

#[async_trait]
impl Settle for Tag {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        match settle(&self.acker, settlement).await {
            Ok(true) => Ok(()),
            // False: the channel was gone before, and nothing was sent.
            Ok(false) | Err(_) => Err(SettleError::Gone),
        }
    }

    async fn heard(&self) -> Result<(), SettleError> {
        // A channel's process does one thing after the other. This one changes nothing where nobody publishes, and has an
        // answer, which settling has not.
        let asked = answer(self.channel.confirm_select(ConfirmSelectOptions::default()));
        asked.await.map_err(|_| SettleError::Gone)
    }

    fn abandon(&self) {
        let acker = self.acker.clone();
        // Where it fails the broker has taken the message back.
        self.runtime.spawn(async move { settle(&acker, Settlement::Failed).await });
    }
}
