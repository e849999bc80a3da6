//! Reads dead letters without removing them, and publishes them again.
//!
//! RabbitMQ shows a message only to a client that takes it from the queue. So the letters are taken without an
//! acknowledgement, and returned in their original order: a quorum queue delivers what was returned first. If the
//! process dies in between, the broker returns them by itself.
//!
//! A quorum queue counts returns, and RabbitMQ 4 drops a message after 20 of them unless a policy says otherwise. So a letter that was
//! returned [`MAX_RETURNS`] times is published anew at the end of the queue instead, and its count begins again.

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
};
use lapin::{BasicProperties, Channel, Confirmation};

use super::Inspection;
use super::dead_letter::{DeadLetter, NotRequeued};
use crate::broker::port::{BrokerError, Published};
use crate::broker::queue::Queue;
use crate::broker::rabbitmq::codec;
use crate::broker::rabbitmq::connection::with_response_timeout;

/// A letter is returned at most this often before it is published anew.
const MAX_RETURNS: u32 = 10;

/// Dead letters that were taken and not acknowledged. Dropping them, or the inspection, returns them as a failure would.
pub struct DeadLetters<'i> {
    inspection: &'i Inspection,
    queue: String,
    /// The channel that holds the letters. They return to the queue when it closes.
    holding: Channel,
    publishing: Channel,
    letters: Vec<DeadLetter>,
}

/// Reason why a dead letter was not published again. It stays among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    /// Publishing it would have no effect, or its queue is unknown.
    #[error(transparent)]
    NotRequeued(#[from] NotRequeued),
    /// The broker did not confirm it.
    #[error("the broker did not take it: {0:?}")]
    Broker(Published),
}

impl Inspection {
    /// Takes the oldest `limit` dead letters.
    ///
    /// # Errors
    /// [`BrokerError::Topology`] if there is no queue of dead letters or no permission to read it, [`BrokerError::Unreachable`] without an
    /// answer.
    pub async fn dead_letters(&self, limit: usize) -> Result<DeadLetters<'_>, BrokerError> {
        let queue = self.topology.queue(&Queue::DeadLetters);
        let open = async {
            let publishing = self.connection.channel().await?;
            publishing.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok((self.connection.channel().await?, publishing))
        };
        let (holding, publishing) = with_response_timeout(open).await.map_err(|error| self.failed(&error))?;
        let mut letters = Vec::new();
        while letters.len() < limit {
            let get = holding.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: false });
            let Some(got) = with_response_timeout(get).await.map_err(|error| self.failed(&error))? else {
                break;
            };
            let delivery = got.delivery;
            let returns = codec::returns(&delivery.properties);
            let (tag, body) = (delivery.delivery_tag, delivery.data.into());
            letters.push(DeadLetter::new(letters.len() + 1, tag, delivery.properties, returns, body));
        }
        Ok(DeadLetters { inspection: self, queue, holding, publishing, letters })
    }
}

impl DeadLetters<'_> {
    /// The letters, the oldest first.
    #[must_use]
    pub fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    /// Publishes `letter` again, with fresh attempts, and waits for the confirm. Returns the queue's name. Until
    /// [`Self::acknowledge`] the letter exists twice: a process that dies in between leaves one copy too many rather
    /// than none.
    ///
    /// # Errors
    /// [`RequeueError`].
    pub async fn publish_again(&self, letter: &DeadLetter) -> Result<String, RequeueError> {
        let (queue, message) = letter.requeued(self.inspection.prefix())?;
        let queue = self.inspection.topology.queue(&queue);
        let Some(properties) = codec::properties(&message) else {
            return Err(NotRequeued::Unreadable.into());
        };
        match self.publish(&queue, properties, &message.body).await {
            Published::Accepted => Ok(queue),
            refused => Err(RequeueError::Broker(refused)),
        }
    }

    /// Removes the letter at `position` from the dead letters.
    ///
    /// # Errors
    /// [`BrokerError`]: the letter stays.
    pub async fn acknowledge(&mut self, position: usize) -> Result<(), BrokerError> {
        let Some(at) = self.letters.iter().position(|letter| letter.position == position) else {
            return Ok(());
        };
        let acknowledge = self.holding.basic_ack(self.letters[at].delivery_tag, BasicAckOptions::default());
        with_response_timeout(acknowledge).await.map_err(|error| self.inspection.failed(&error))?;
        self.letters.remove(at);
        Ok(())
    }

    /// Returns all letters that were not acknowledged, in their order, and waits until the broker has done so.
    ///
    /// # Errors
    /// [`BrokerError`]: the connection is gone, and the broker returns them by itself.
    pub async fn give_back(self) -> Result<(), BrokerError> {
        for letter in &self.letters {
            let tag = letter.delivery_tag;
            let is_renewed = letter.returns >= MAX_RETURNS
                && self.publish(&self.queue, letter.properties.clone(), &letter.body).await
                    == Published::Accepted;
            let settled = if is_renewed {
                self.holding.basic_ack(tag, BasicAckOptions::default()).await
            } else {
                self.holding.basic_nack(tag, BasicNackOptions { requeue: true, multiple: false }).await
            };
            settled.map_err(|error| self.inspection.failed(&error))?;
        }
        // The answer to this comes after the broker has processed the settlements.
        let closing = self.holding.close(200, "OK".into());
        with_response_timeout(closing).await.map_err(|error| self.inspection.failed(&error))
    }

    async fn publish(&self, queue: &str, properties: BasicProperties, body: &[u8]) -> Published {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let publish = async {
            self.publishing.basic_publish("".into(), queue.into(), options, body, properties).await?.await
        };
        match with_response_timeout(publish).await {
            Ok(Confirmation::Ack(None)) => Published::Accepted,
            Ok(Confirmation::Nack(None)) => Published::Full,
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Published::Returned,
            Ok(Confirmation::NotRequested) | Err(_) => Published::Unknown,
        }
    }
}
