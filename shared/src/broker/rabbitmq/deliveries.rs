//! Streams over all links.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::link::answer;
use super::links::Links;
use super::subscription::{Source, Subscription};
use crate::broker::{Deliveries, Delivery, Message, Replies, ReplyEvent};

/// What to consume on the next link: the name of an exclusive queue must not be used twice, for the broker may not
/// have noticed yet that the connection which has it is gone.
type NextSource = Arc<dyn Fn() -> Source + Send + Sync>;

/// A consumer over all links.
pub(super) struct LinkedDeliveries {
    links: Links,
    source: NextSource,
    subscription: Option<Subscription>,
    /// A subscription in the making; it goes on where it was when the caller drops `subscribe` and comes again.
    subscribing: Option<BoxFuture<'static, Option<Subscription>>>,
}

impl LinkedDeliveries {
    pub(super) fn new(links: Links, source: impl Fn() -> Source + Send + Sync + 'static) -> Self {
        Self { links, source: Arc::new(source), subscription: None, subscribing: None }
    }

    /// The present subscription, or the next one; `None` after the end.
    async fn subscribe(&mut self) -> Option<&mut Subscription> {
        if self.subscription.is_none() {
            let subscribing = self
                .subscribing
                .get_or_insert_with(|| Box::pin(subscribe(self.links.clone(), Arc::clone(&self.source))));
            let subscription = subscribing.await;
            self.subscribing = None;
            self.subscription = subscription;
        }
        self.subscription.as_mut()
    }

    /// The next message of an exclusive queue; `None` after the end.
    async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.subscribe().await?.next_message().await {
                return Some(message);
            }
            self.subscription = None;
        }
    }
}

/// Tries one link after the other, until one takes the subscription; `None` after the end.
async fn subscribe(links: Links, source: NextSource) -> Option<Subscription> {
    loop {
        let link = links.next().await?;
        match answer(Subscription::open(Arc::clone(&link), &source())).await {
            Ok(subscription) => return Some(subscription),
            Err(error) => link.fail(&error),
        }
    }
}

#[async_trait]
impl Deliveries for LinkedDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.subscribe().await?.next().await {
                return Some(delivery);
            }
            self.subscription = None;
        }
    }
}

/// A gateway's replies: each link has a queue of its own.
pub(super) struct LinkedReplies(LinkedDeliveries);

impl LinkedReplies {
    pub(super) fn new(deliveries: LinkedDeliveries) -> Self {
        Self(deliveries)
    }
}

#[async_trait]
impl Replies for LinkedReplies {
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
        (!deliveries.links.is_closed()).then_some(ReplyEvent::Lost)
    }
}

/// Passes announcements on to `listener` for as long as it listens.
pub(super) async fn pass_on(mut announcements: LinkedDeliveries, listener: mpsc::Sender<Bytes>) {
    loop {
        let announcement = tokio::select! {
            () = listener.closed() => return,
            announcement = announcements.next_message() => announcement,
        };
        let Some(announcement) = announcement else { return };
        if let Err(TrySendError::Closed(_)) = listener.try_send(announcement.body) {
            return;
        }
    }
}
