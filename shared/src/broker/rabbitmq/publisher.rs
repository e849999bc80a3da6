//! Publishes with publisher confirms, any number at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation};
use tokio::time::{Instant, timeout, timeout_at};

use super::channels::PublishChannels;
use super::codec;
use super::supervisor::ConnectionSupervisor;
use crate::broker::message::Message;
use crate::broker::port::Published;

/// Confirms of messages that the broker took before its alarm still arrive during this time after the alarm began.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);

pub(super) struct Publisher {
    connections: ConnectionSupervisor,
    channels: PublishChannels,
    confirm_timeout: Duration,
}

impl Publisher {
    pub(super) fn new(connections: ConnectionSupervisor, confirm_timeout: Duration) -> Self {
        Self { channels: PublishChannels::new(connections.clone()), connections, confirm_timeout }
    }

    /// Publishes to `queue` and waits for the confirm. This continues in the background if the caller drops the future.
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
            if self.connections.current().await?.is_blocked() {
                return Ok(None);
            }
            self.channels.get(&queue, true).await.map(Some)
        };
        let (connection, channel) = match timeout_at(deadline, channel).await {
            Ok(Ok(Some(channel))) => channel,
            Ok(Ok(None)) => return Published::Blocked,
            Ok(Err(_)) | Err(_) => return Published::Unreachable,
        };
        let confirmation = async {
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            channel.basic_publish("".into(), queue.clone(), options, &body, properties).await?.await
        };
        let confirmation = tokio::select! {
            biased;
            confirmation = timeout_at(deadline, confirmation) => confirmation,
            // The broker reads nothing more until its alarm ends, which may take hours. It may have the message or a
            // part of it, and processes it then.
            () = connection.blocked_for(BLOCKED_GRACE) => return Published::Blocked,
        };
        match confirmation {
            Ok(Ok(Confirmation::Ack(None))) => Published::Accepted,
            Ok(Ok(Confirmation::Nack(None))) => Published::Full,
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                self.channels.forget(&queue).await;
                Published::Returned
            }
            Ok(Ok(Confirmation::NotRequested)) => {
                connection.fail(&"the channel does not confirm");
                Published::Unknown
            }
            Ok(Err(error)) => {
                connection.fail(&error);
                Published::Unknown
            }
            // A new connection would not help.
            Err(_) if connection.is_blocked() => Published::Blocked,
            Err(_) => {
                connection.fail(&format_args!("no confirm within {:?}", self.confirm_timeout));
                Published::Unknown
            }
        }
    }

    /// Sends a message to an exchange without a confirm. While the broker blocks publishers, the message is dropped
    /// rather than kept in memory.
    pub(super) async fn announce(&self, exchange: ShortString, message: &Message) {
        let Some(properties) = codec::properties(message) else { return };
        let announcing = async {
            match self.connections.current().await {
                Ok(connection) if !connection.is_blocked() => (),
                _ => return,
            }
            let Ok((connection, channel)) = self.channels.get(&exchange, false).await else { return };
            let options = BasicPublishOptions::default();
            if let Err(error) =
                channel.basic_publish(exchange, "".into(), options, &message.body, properties).await
            {
                connection.fail(&error);
            }
        };
        // Best effort: a timeout is not an error.
        let _ = timeout(self.confirm_timeout, announcing).await;
    }
}
