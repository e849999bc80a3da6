//! Inspection of the broker by an operator: its version, queues, alarms, announcements and dead letters.
//!
//! An inspection uses a connection of its own and declares no missing queue, as a gateway or a worker would do when it
//! connects. The only temporary queue of an inspection is exclusive, so the broker deletes it with the connection.

mod dead_letter;
mod dead_letters;
mod queues;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

pub use self::dead_letter::{DeadLetter, LetterKind, NotRequeued};
pub use self::dead_letters::{DeadLetters, RequeueError};
pub use self::queues::QueueState;
use super::address::{Cluster, ServerAddress};
use super::connection::{BrokerConnection, with_response_timeout};
use super::problem::declaring_failed;
use super::subscription::{ConsumeSource, Subscription};
use super::topology::Topology;
use crate::broker::port::BrokerError;
use crate::settings::{BrokerSettings, BrokerUrl};

/// Time limit for the answer of a node.
const NODE_TIMEOUT: Duration = Duration::from_secs(4);

/// Time limit for the arrival of the message of a round trip.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to one node, for an operator.
pub struct Inspection {
    connection: Arc<BrokerConnection>,
    topology: Topology,
    version: Option<String>,
}

/// Outcome of a message to a temporary queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RoundTrip {
    /// The broker confirmed it and delivered it.
    Arrived,
    /// The broker blocks publishers, for this reason in its own words.
    Blocked(String),
}

impl Inspection {
    /// Connects to each node of `settings`. The list has the nodes' addresses without credentials; it is empty for the embedded
    /// broker.
    ///
    /// # Errors
    /// [`BrokerError::Url`], [`BrokerError::Tls`]: the settings cannot be used.
    pub async fn of_all_nodes(
        settings: &BrokerSettings,
    ) -> Result<Vec<(String, Result<Self, BrokerError>)>, BrokerError> {
        let BrokerUrl::Amqp(urls) = &settings.url else { return Ok(vec![]) };
        crate::tls::install_provider();
        let cluster = Cluster::new(urls, &settings.tls)?;
        let open = cluster
            .nodes()
            .iter()
            .map(async |node| (node.to_string(), Self::of_node(node, &cluster, settings).await));
        Ok(join_all(open).await)
    }

    /// Connects to the first node of `settings` that answers.
    ///
    /// # Errors
    /// [`BrokerError`] of the last node; [`BrokerError::Url`] for the embedded broker, which is inside another process.
    pub async fn open(settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let mut last = BrokerError::Url(
            "the broker is embedded in the running program, so no other process sees its queues".into(),
        );
        for (_, opened) in Self::of_all_nodes(settings).await? {
            match opened {
                Ok(inspection) => return Ok(inspection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn of_node(
        node: &ServerAddress,
        cluster: &Cluster,
        settings: &BrokerSettings,
    ) -> Result<Self, BrokerError> {
        let connecting = node.connect(NODE_TIMEOUT, cluster.tls(), "faceline inspection");
        let (connected, version) = tokio::join!(connecting, node.version(NODE_TIMEOUT, cluster.tls()));
        let (connection, socket) = connected?;
        let connection = Arc::new(BrokerConnection::followed(connection, socket, node));
        Ok(Self { connection, topology: Topology::new(settings), version })
    }

    /// The version that the server names, as in `3.13.7`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The virtual host.
    #[must_use]
    pub fn virtual_host(&self) -> String {
        self.connection.virtual_host()
    }

    /// Prefix of the names of all queues.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.topology.prefix()
    }

    /// Declares an exclusive queue under a name as reply queues have, publishes a message to it and receives it. This needs the
    /// permissions to configure, write and read that gateways need.
    ///
    /// # Errors
    /// [`BrokerError::Topology`] if a permission is missing, [`BrokerError::Unreachable`] if the message does not arrive.
    pub async fn round_trip(&self) -> Result<RoundTrip, BrokerError> {
        // Named as a gateway's: the permissions in deploy/rabbitmq/definitions.json allow hexadecimal digits only.
        let queue = self.topology.reply_queue(&Uuid::new_v4().simple().to_string(), 0);
        let mut subscription = self.subscribe(queue.clone(), None).await?;
        let publish = async {
            let channel = self.connection.channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let properties = BasicProperties::default().with_message_id(Uuid::new_v4().to_string().into());
            channel.basic_publish("".into(), queue.into(), options, b"", properties).await?.await
        };
        let arrival = async {
            with_response_timeout(publish).await.map_err(|error| self.failed(&error))?;
            subscription
                .next_message()
                .await
                .ok_or_else(|| BrokerError::Unreachable("the connection is gone".into()))
        };
        let deadline = Instant::now() + ROUND_TRIP_TIMEOUT;
        tokio::select! {
            biased;
            () = self.connection.blocked_for(Duration::ZERO) => {
                Ok(RoundTrip::Blocked(self.connection.blocked_reason().unwrap_or_default()))
            }
            arrived = timeout_at(deadline, arrival) => match arrived {
                Ok(arrived) => arrived.map(|_| RoundTrip::Arrived),
                Err(_) => Err(BrokerError::Unreachable(format!("a message did not arrive within {ROUND_TRIP_TIMEOUT:?}"))),
            },
        }
    }

    /// Publishes the announcement `request`, and collects the announcements of all processes for `period`.
    ///
    /// # Errors
    /// [`BrokerError::Topology`]: the exchange for announcements is not there, as before the first start of a gateway or a worker, or
    /// a permission is missing.
    pub async fn announcements(&self, request: Bytes, period: Duration) -> Result<Vec<Bytes>, BrokerError> {
        let exchange = self.topology.announcement_exchange();
        let queue = format!("{exchange}.{}", Uuid::now_v7());
        let mut subscription = self.subscribe(queue, Some(exchange.clone())).await?;
        let deadline = Instant::now() + period;
        let publish = async {
            let channel = self.connection.channel().await?;
            let properties = BasicProperties::default().with_message_id(Uuid::now_v7().to_string().into());
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange.into(), "".into(), options, &request, properties).await?.await
        };
        with_response_timeout(publish).await.map_err(|error| self.failed(&error))?;
        let mut received = Vec::new();
        while let Ok(Some(message)) = timeout_at(deadline, subscription.next_message()).await {
            received.push(message.body);
        }
        Ok(received)
    }

    async fn subscribe(&self, queue: String, exchange: Option<String>) -> Result<Subscription, BrokerError> {
        let source = ConsumeSource::Exclusive { queue, exchange };
        let opening = Subscription::open(Arc::clone(&self.connection), &source);
        with_response_timeout(opening).await.map_err(|error| self.failed(&error))
    }

    /// Converts an error of the connection.
    fn failed(&self, error: &lapin::Error) -> BrokerError {
        declaring_failed(error, self.topology.mode())
    }
}
