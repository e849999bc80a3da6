//! Publishing with confirms, many at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation};
use tokio::time::{Instant, timeout, timeout_at};

use super::channels::Channels;
use super::codec;
use super::links::Links;
use crate::broker::{Message, Published};

pub(super) struct Publisher {
    links: Links,
    channels: Channels,
    confirm_timeout: Duration,
}

impl Publisher {
    pub(super) fn new(links: Links, confirm_timeout: Duration) -> Self {
        Self { channels: Channels::new(links.clone()), links, confirm_timeout }
    }

    /// Publishes to `queue`. It goes on to the confirm also when the caller does not wait for it.
    pub(super) async fn publish(self: &Arc<Self>, queue: String, message: Message) -> Published {
        let (Ok(queue), Some(properties)) = (ShortString::try_new(queue), codec::properties(&message)) else {
            return Published::Returned;
        };
        let publisher = Arc::clone(self);
        let publishing = async move { publisher.publish_confirmed(queue, properties, message.body).await };
        tokio::spawn(publishing).await.unwrap_or(Published::Unknown)
    }

    async fn publish_confirmed(
        &self,
        queue: ShortString,
        properties: BasicProperties,
        body: Bytes,
    ) -> Published {
        let deadline = Instant::now() + self.confirm_timeout;
        let channel = async {
            if self.links.now().await?.is_blocked() {
                return Ok(None);
            }
            self.channels.get(&queue, true).await.map(Some)
        };
        let (link, channel) = match timeout_at(deadline, channel).await {
            Ok(Ok(Some(channel))) => channel,
            Ok(Ok(None)) => return Published::Full,
            Ok(Err(_)) | Err(_) => return Published::Unreachable,
        };
        let confirmation = async {
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            channel.basic_publish("".into(), queue.clone(), options, &body, properties).await?.await
        };
        match timeout_at(deadline, confirmation).await {
            Ok(Ok(Confirmation::Ack(None))) => Published::Accepted,
            Ok(Ok(Confirmation::Nack(None))) => Published::Full,
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                self.channels.forget(&queue).await;
                Published::Returned
            }
            Ok(Ok(Confirmation::NotRequested)) => {
                link.fail(&"the channel does not confirm");
                Published::Unknown
            }
            Ok(Err(error)) => {
                link.fail(&error);
                Published::Unknown
            }
            // The broker has stopped to read what we send, and will do so on every link. It goes on when it has room.
            Err(_) if link.is_blocked() => Published::Unknown,
            Err(_) => {
                link.fail(&format_args!("no confirm within {:?}", self.confirm_timeout));
                Published::Unknown
            }
        }
    }

    /// Sends a message to an exchange, and does not ask what becomes of it.
    pub(super) async fn announce(&self, exchange: ShortString, message: &Message) {
        let Some(properties) = codec::properties(message) else { return };
        let announcing = async {
            let Ok((link, channel)) = self.channels.get(&exchange, false).await else { return };
            let options = BasicPublishOptions::default();
            if let Err(error) =
                channel.basic_publish(exchange, "".into(), options, &message.body, properties).await
            {
                link.fail(&error);
            }
        };
        // Whether it gets there in time is no matter of the caller's.
        let _ = timeout(self.confirm_timeout, announcing).await;
    }
}
