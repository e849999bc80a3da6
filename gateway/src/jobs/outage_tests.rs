//! The dispatcher over a broker that blocks publishers or does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::blob::{self, SealedBlobs};
use faceline_shared::broker::embedded::EmbeddedBroker;
use faceline_shared::broker::{
    Broker, BrokerError, BrokerHealth, BrokerSettings, Consume, Deliveries, Depth, Message, Publish,
    Published, Queue, Replies,
};
use faceline_shared::face::ImageType;
use faceline_shared::job::{Coding, Task};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{ClientTls, StoreUrl};
use faceline_shared::telemetry::{Metrics, TraceContext};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::submit::Submit as _;
use super::{Dispatcher, JobRequest, SubmitError};
use crate::fault::BusyCause;

/// An embedded broker that may block publishers, and does not answer questions about its queues.
struct SilentBroker {
    embedded: EmbeddedBroker,
    is_blocked: AtomicBool,
}

#[async_trait]
impl Publish for SilentBroker {
    async fn publish(&self, queue: &Queue, message: &Message) -> Published {
        if self.is_blocked.load(Ordering::SeqCst) {
            return Published::Blocked;
        }
        self.embedded.publish(queue, message).await
    }

    async fn announce(&self, body: Bytes) {
        self.embedded.announce(body).await;
    }
}

#[async_trait]
impl Consume for SilentBroker {
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries> {
        self.embedded.consume(queue, prefetch).await
    }

    async fn replies(&self, instance: &str) -> Box<dyn Replies> {
        self.embedded.replies(instance).await
    }

    async fn announcements(&self) -> mpsc::Receiver<Bytes> {
        self.embedded.announcements().await
    }
}

#[async_trait]
impl Broker for SilentBroker {
    async fn depth(&self, _: &Queue) -> Result<Depth, BrokerError> {
        std::future::pending().await
    }

    fn health(&self) -> BrokerHealth {
        let blocked = self.is_blocked.load(Ordering::SeqCst).then(|| "low on memory".to_owned());
        BrokerHealth { blocked, ..self.embedded.health() }
    }

    async fn close(&self) {
        self.embedded.close().await;
    }
}

async fn site() -> (Arc<SilentBroker>, Dispatcher) {
    let embedded = EmbeddedBroker::new((&BrokerSettings::default()).into());
    let broker = Arc::new(SilentBroker { embedded, is_blocked: AtomicBool::new(false) });
    let keys = KeyRing::generate().unwrap();
    let blobs =
        SealedBlobs::new(blob::open(&StoreUrl::Embedded, &ClientTls::default()).unwrap(), keys.clone());
    let dispatcher = Dispatcher::start("g", broker.clone(), blobs, keys, 1000, &Metrics::new()).await;
    dispatcher.watch_connection().wait_for(Option::is_some).await.unwrap();
    (broker, dispatcher)
}

fn job(budget: Duration) -> JobRequest {
    JobRequest {
        id: Uuid::now_v7(),
        client: "bank".into(),
        task: Task::Code(Coding {
            picture: Bytes::from_static(b"x"),
            image_type: ImageType::Selfie,
            rotate: false,
        }),
        budget,
        callers_own_deadline: false,
        trace: TraceContext::new(),
    }
}

fn busy(cause: BusyCause) -> super::SubmitResult {
    Err(SubmitError::Busy(cause))
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_missed_deadline_takes_a_second_at_most() {
    let (_broker, dispatcher) = site().await;
    let budget = Duration::from_secs(3);
    let asked = Instant::now();
    let answer = tokio::time::timeout(Duration::from_secs(60), dispatcher.submit(job(budget))).await;
    assert_eq!(answer.expect("there is no answer"), busy(BusyCause::BrokerUnreachable));
    let late = asked.elapsed().saturating_sub(budget);
    assert!(late <= Duration::from_millis(1100), "{late:?} after the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_broker_is_named_at_once_and_at_the_deadline() {
    let (broker, dispatcher) = site().await;
    assert_eq!(dispatcher.outage(), None);
    // The broker took this job, and no worker can publish a result.
    let accepted = {
        let dispatcher = dispatcher.clone();
        tokio::spawn(async move { dispatcher.submit(job(Duration::from_secs(30))).await })
    };
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    let _delivery = deliveries.next().await.unwrap();

    broker.is_blocked.store(true, Ordering::SeqCst);
    assert_eq!(dispatcher.outage(), Some(BusyCause::BrokerBlocked));
    let asked = Instant::now();
    assert_eq!(dispatcher.submit(job(Duration::from_secs(30))).await, busy(BusyCause::BrokerBlocked));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(accepted.await.unwrap(), busy(BusyCause::BrokerBlocked));

    broker.close().await;
    assert_eq!(dispatcher.outage(), Some(BusyCause::BrokerUnreachable));
}
