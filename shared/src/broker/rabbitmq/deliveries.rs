//! Streams that outlive connections: each subscribes again on the next connection.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::connection::{BrokerConnection, with_response_timeout};
use super::subscription::{ConsumeSource, Subscription};
use super::supervisor::ConnectionSupervisor;
use crate::broker::delivery::Delivery;
use crate::broker::message::Message;
use crate::broker::port::{Deliveries, Replies, ReplyEvent};

/// Returns the source for the next subscription. An exclusive queue needs a new name each time, because the broker may
/// not have noticed yet that the connection with the old one is lost.
type NextSource = Arc<dyn Fn() -> ConsumeSource + Send + Sync>;

/// A consumer that subscribes again on every new connection.
pub(super) struct ReconnectingDeliveries {
    connections: ConnectionSupervisor,
    source: NextSource,
    subscription: Option<Subscription>,
    /// A subscription that is being opened. It is kept here so that dropping the future of `subscribe` does not restart
    /// it.
    subscribing: Option<BoxFuture<'static, Option<Subscription>>>,
    is_closed: bool,
}

impl ReconnectingDeliveries {
    pub(super) fn new(
        connections: ConnectionSupervisor,
        source: impl Fn() -> ConsumeSource + Send + Sync + 'static,
    ) -> Self {
        Self {
            connections,
            source: Arc::new(source),
            subscription: None,
            subscribing: None,
            is_closed: false,
        }
    }

    /// Returns the present subscription, or opens a new one; `None` after the broker was closed.
    async fn subscribe(&mut self) -> Option<&mut Subscription> {
        if self.subscription.is_none() {
            let subscribing = self.subscribing.get_or_insert_with(|| {
                Box::pin(subscribe(self.connections.clone(), Arc::clone(&self.source)))
            });
            let subscription = subscribing.await;
            self.subscribing = None;
            self.subscription = subscription;
        }
        self.subscription.as_mut()
    }

    /// The next message of an exclusive queue; `None` after the broker was closed.
    async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.subscribe().await?.next_message().await {
                return Some(message);
            }
            self.subscription = None;
        }
    }
}

/// Tries one connection after the other until a subscription succeeds; `None` after the broker was closed.
async fn subscribe(connections: ConnectionSupervisor, source: NextSource) -> Option<Subscription> {
    loop {
        let connection = connections.wait_connected().await?;
        if let Some(subscription) = open(connection, source()).await {
            return Some(subscription);
        }
    }
}

/// Opens a subscription, or marks the connection as failed. The operation runs in a task of its own, which completes
/// even if this future is dropped; dropping the [`Subscription`] then ends it. If the operation itself were dropped
/// half-way, nothing would receive the broker's answer, and lapin would keep a consumer whose messages nobody takes.
async fn open(connection: Arc<BrokerConnection>, source: ConsumeSource) -> Option<Subscription> {
    let opened_on = Arc::clone(&connection);
    let opening = tokio::spawn(async move {
        let opened = with_response_timeout(Subscription::open(Arc::clone(&opened_on), &source)).await;
        // A consumer whose answer is late still opens, and only the end of its connection ends it.
        opened.inspect_err(|error| opened_on.fail(error)).ok()
    });
    opening.await.unwrap_or_else(|panic| {
        connection.fail(&panic);
        None
    })
}

#[async_trait]
impl Deliveries for ReconnectingDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.is_closed {
                return None;
            }
            if let Some(delivery) = self.subscribe().await?.next().await {
                return Some(delivery);
            }
            self.subscription = None;
        }
    }

    async fn close(&mut self) {
        self.is_closed = true;
        self.subscribing = None;
        if let Some(mut subscription) = self.subscription.take() {
            subscription.close().await;
        }
    }
}

/// A gateway's replies. Each connection has a reply queue of its own.
pub(super) struct ReconnectingReplies(ReconnectingDeliveries);

impl ReconnectingReplies {
    pub(super) fn new(deliveries: ReconnectingDeliveries) -> Self {
        Self(deliveries)
    }
}

#[async_trait]
impl Replies for ReconnectingReplies {
    async fn next(&mut self) -> Option<ReplyEvent> {
        let Self(deliveries) = self;
        let Some(subscription) = &mut deliveries.subscription else {
            let queue = deliveries.subscribe().await?.queue();
            return Some(ReplyEvent::Opened { queue });
        };
        if let Some(reply) = subscription.next_message().await {
            return Some(ReplyEvent::Reply(reply));
        }
        deliveries.subscription = None;
        (!deliveries.connections.is_closed()).then_some(ReplyEvent::Lost)
    }
}

/// Forwards announcements to `subscriber` until it is dropped. If it is full, the announcement is dropped.
pub(super) async fn forward_announcements(
    mut announcements: ReconnectingDeliveries,
    subscriber: mpsc::Sender<Bytes>,
) {
    loop {
        let announcement = tokio::select! {
            () = subscriber.closed() => return,
            announcement = announcements.next_message() => announcement,
        };
        let Some(announcement) = announcement else { return };
        if let Err(TrySendError::Closed(_)) = subscriber.try_send(announcement.body) {
            return;
        }
    }
}
