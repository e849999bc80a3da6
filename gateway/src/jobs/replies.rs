//! The gateway's ear: takes answers from its reply queue, and publishes again what a lost queue leaves unanswered.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::broker::republish::Republisher;
use faceline_shared::broker::{Delivery, Publish as _, Published, Queue, Replies, ReplyEvent, Settlement};
use faceline_shared::job::{Outcome, ReplyEnvelope};
use faceline_shared::seal::KeyRing;
use tokio::sync::watch;

use super::dispatcher::message;
use super::metrics::JobMetrics;
use super::pending::{Answer, Letter, Pending};

pub(super) struct ReplyLoop {
    pub(super) publisher: Arc<Republisher>,
    pub(super) pending: Pending,
    pub(super) keys: KeyRing,
    pub(super) metrics: JobMetrics,
    /// Name of the present reply queue, while there is one.
    pub(super) reply_to: Arc<watch::Sender<Option<String>>>,
}

impl ReplyLoop {
    /// Runs until the broker is closed.
    pub(super) async fn run(self, mut replies: Box<dyn Replies>) {
        while let Some(event) = replies.next().await {
            match event {
                ReplyEvent::Opened { queue } => self.opened(queue),
                ReplyEvent::Lost => {
                    self.reply_to.send_replace(None);
                    tracing::warn!("the reply queue is lost");
                }
                ReplyEvent::Reply(delivery) => self.reply(delivery).await,
            }
        }
    }

    fn opened(&self, queue: String) {
        tracing::info!(queue, "the reply queue is open");
        self.reply_to.send_replace(Some(queue.clone()));
        let letters = self.pending.in_time();
        if letters.is_empty() {
            return;
        }
        tracing::warn!(jobs = letters.len(), "publishing again what waits for an answer");
        // Beside the loop: answers to the first ones may come while the last ones are published.
        let (publisher, metrics) = (Arc::clone(&self.publisher), self.metrics.clone());
        tokio::spawn(async move {
            for letter in letters {
                republish(&publisher, &metrics, &letter, &queue).await;
            }
        });
    }

    async fn reply(&self, delivery: Delivery) {
        match ReplyEnvelope::decode(&delivery.message.body) {
            Ok(envelope) => {
                let outcome = self.open(&envelope);
                let answer = Answer { outcome, service: Duration::from_millis(envelope.service_ms) };
                if !self.pending.answer(envelope.id, answer) {
                    self.metrics.unexpected_results.inc();
                }
            }
            Err(error) => tracing::error!(%error, job = %delivery.message.id, "an answer cannot be read"),
        }
        // An answer that cannot be acknowledged comes again, and finds nobody who waits for it.
        if let Err(error) = delivery.settle(Settlement::Ack).await {
            tracing::debug!(%error, "an answer was not acknowledged");
        }
    }

    fn open(&self, envelope: &ReplyEnvelope) -> Option<Outcome> {
        envelope
            .open(&self.keys)
            .inspect_err(|error| {
                tracing::error!(%error, job = %envelope.id, "an answer does not open; do gateway and worker share their keys?");
            })
            .ok()
    }
}

async fn republish(publisher: &Republisher, metrics: &JobMetrics, letter: &Letter, queue: &str) {
    let published = publisher.publish(&Queue::Interactive, &message(letter, queue)).await;
    metrics.republished.inc();
    if published != Published::Accepted {
        tracing::warn!(job = %letter.id, ?published, "a job could not be published again");
    }
}
