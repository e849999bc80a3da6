//! The dispatcher over the embedded broker and blob store. Each test plays the worker itself.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::{self, SealedBlobs};
use faceline_shared::broker::embedded::EmbeddedBroker;
use faceline_shared::broker::{
    self, BrokerSettings, Delivery, Message, Published, Queue, Settlement, SharedBroker,
};
use faceline_shared::face::ImageType;
use faceline_shared::job::{
    CarriedPicture, CodedPicture, Coding, JobEnvelope, JobFailure, JobResult, Outcome, ReplyEnvelope, Task,
};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{ClientTls, StoreUrl};
use faceline_shared::telemetry::{Metrics, TraceContext};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Dispatcher, JobRequest, SubmitError};
use crate::jobs::submit::Submit as _;

const INLINE_LIMIT: usize = 16;

struct Site {
    broker: SharedBroker,
    blobs: SealedBlobs,
    keys: KeyRing,
    metrics: Metrics,
    dispatcher: Dispatcher,
}

impl Site {
    async fn new(settings: BrokerSettings) -> Self {
        Self::over(broker::open(&settings).unwrap()).await
    }

    async fn over(broker: SharedBroker) -> Self {
        let keys = KeyRing::generate().unwrap();
        let blobs =
            SealedBlobs::new(blob::open(&StoreUrl::Embedded, &ClientTls::default()).unwrap(), keys.clone());
        let metrics = Metrics::new();
        let dispatcher =
            Dispatcher::start("g", broker.clone(), blobs.clone(), keys.clone(), INLINE_LIMIT, &metrics).await;
        dispatcher.watch_connection().wait_for(Option::is_some).await.unwrap();
        Self { broker, blobs, keys, metrics, dispatcher }
    }

    fn submit(&self, job: JobRequest) -> tokio::task::JoinHandle<super::SubmitResult> {
        let dispatcher = self.dispatcher.clone();
        tokio::spawn(async move { dispatcher.submit(job).await })
    }

    /// Deliveries of jobs, as a worker receives them.
    async fn deliveries(&self) -> mpsc::Receiver<Delivery> {
        let mut deliveries = self.broker.consume(&Queue::Interactive, 10).await;
        let (sender, receiver) = mpsc::channel(10);
        tokio::spawn(async move {
            while let Some(delivery) = deliveries.next().await {
                if sender.send(delivery).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    async fn answer(&self, delivery: &Delivery, outcome: &Outcome) -> Published {
        let reply = ReplyEnvelope::seal(delivery.message.id, outcome, Duration::ZERO, &self.keys).unwrap();
        let message = Message {
            id: delivery.message.id,
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: reply.encode().unwrap(),
        };
        let queue = Queue::Reply(delivery.message.reply_to.clone().unwrap());
        self.broker.publish(&queue, &message).await
    }

    fn picture(&self, delivery: &Delivery) -> CarriedPicture {
        let job = JobEnvelope::decode(&delivery.message.body).unwrap().open(&self.keys).unwrap();
        let Task::Code(coding) = job else { panic!("another kind of job") };
        coding.picture
    }
}

fn job(bytes: &'static [u8]) -> JobRequest {
    let bytes = Bytes::from_static(bytes);
    JobRequest {
        id: Uuid::now_v7(),
        client: "bank".into(),
        task: Task::Code(Coding { picture: bytes, image_type: ImageType::Selfie, rotate: false }),
        budget: Duration::from_secs(20),
        callers_own_deadline: false,
        trace: TraceContext::new(),
    }
}

fn coded() -> Outcome {
    Ok(JobResult::Coded(CodedPicture { digest: "d".into(), face: None }))
}

#[tokio::test]
async fn a_small_picture_travels_in_the_message_and_the_first_answer_wins() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"small"));
    let delivery = deliveries.recv().await.unwrap();
    assert!(matches!(site.picture(&delivery), CarriedPicture::Inline(bytes) if bytes.as_ref() == b"small"));

    assert_eq!(site.answer(&delivery, &coded()).await, Published::Accepted);
    assert_eq!(result.await.unwrap(), Ok(coded().unwrap()));
    site.answer(&delivery, &Err(JobFailure::Internal)).await;
    // Answers arrive in order: once this one has arrived, the repeated one has been counted.
    let result = site.submit(job(b"next"));
    let next = deliveries.recv().await.unwrap();
    site.answer(&next, &coded()).await;
    result.await.unwrap().unwrap();
    assert!(site.metrics.encode().contains("faceline_gateway_unexpected_results_total 1"));
}

#[tokio::test]
async fn a_large_picture_waits_in_the_blob_store_and_is_deleted_with_its_job() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"more than sixteen bytes"));
    let delivery = deliveries.recv().await.unwrap();
    let CarriedPicture::Blob { key } = site.picture(&delivery) else { panic!("it travels inline") };
    assert_eq!(site.blobs.get(&key).await.unwrap().unwrap().as_ref(), b"more than sixteen bytes");

    site.answer(&delivery, &coded()).await;
    result.await.unwrap().unwrap();
    let gone = async {
        while site.blobs.get(&key).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the blob stays");
}

#[tokio::test]
async fn a_lost_blob_is_sent_again_under_the_same_id() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"more than sixteen bytes"));
    let first = deliveries.recv().await.unwrap();
    site.answer(&first, &Err(JobFailure::BlobLost)).await;
    let second = deliveries.recv().await.unwrap();
    assert_eq!(first.message.id, second.message.id);
    let CarriedPicture::Blob { key } = site.picture(&second) else { panic!("it travels inline") };
    assert!(site.blobs.get(&key).await.unwrap().is_some());
    site.answer(&second, &coded()).await;
    assert_eq!(result.await.unwrap(), Ok(coded().unwrap()));
}

#[tokio::test]
async fn a_job_whose_blob_no_worker_gets_is_sent_several_times_before_it_fails() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"more than sixteen bytes"));
    // The broker would deliver a dropped delivery again.
    let mut taken = Vec::new();
    for _ in 0..6 {
        let delivery = deliveries.recv().await.unwrap();
        site.answer(&delivery, &Err(JobFailure::BlobLost)).await;
        taken.push(delivery);
    }
    assert_eq!(result.await.unwrap(), Err(SubmitError::Failed(JobFailure::BlobLost)));
}

#[tokio::test]
async fn a_full_queue_is_a_refusal() {
    let settings = BrokerSettings { max_length: 1, ..BrokerSettings::default() };
    let site = Site::new(settings).await;
    let waiting = site.submit(JobRequest { budget: Duration::from_secs(60), ..job(b"first") });
    while site.broker.depth(&Queue::Interactive).await.unwrap().ready == 0 {
        tokio::task::yield_now().await;
    }
    let refused = site.dispatcher.submit(job(b"second")).await.unwrap_err();
    assert_eq!(refused, SubmitError::Busy(BusyCause::QueueFull));
    waiting.abort();
}

#[tokio::test]
async fn a_missed_deadline_is_explained_by_the_queue() {
    let site = Site::new(BrokerSettings::default()).await;
    let short = || JobRequest { budget: Duration::from_millis(50), ..job(b"x") };
    let cause = |result: super::SubmitResult| match result.unwrap_err() {
        SubmitError::Busy(cause) => Some(cause),
        SubmitError::Fault(Fault::DeadlineRunning { .. }) => None,
        other => panic!("{other}"),
    };
    assert_eq!(cause(site.dispatcher.submit(short()).await), Some(BusyCause::NoWorker));

    // A worker takes both jobs and does not answer.
    let mut deliveries = site.deliveries().await;
    let abandoned = deliveries.recv().await.unwrap();
    let result = site.submit(short());
    let running = deliveries.recv().await.unwrap();
    assert_eq!(cause(result.await.unwrap()), None);
    for delivery in [abandoned, running] {
        delivery.settle(Settlement::Ack).await.unwrap();
    }
}

#[tokio::test]
async fn workers_hear_that_a_caller_left() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut announcements = site.broker.announcements().await;
    let mut deliveries = site.deliveries().await;
    let job = job(b"x");
    let id = job.id;
    let call = site.submit(job);
    let _delivery = deliveries.recv().await.unwrap();
    call.abort();
    let announcement = announcements.recv().await.unwrap();
    assert_eq!(Announcement::decode(&announcement), Some(Announcement::JobCancelled(id)));
}

#[tokio::test]
async fn a_lost_reply_queue_has_its_jobs_sent_again_and_each_is_answered_once() {
    let broker = Arc::new(EmbeddedBroker::new((&BrokerSettings::default()).into()));
    let site = Site::over(Arc::clone(&broker) as SharedBroker).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"x"));
    let first = deliveries.recv().await.unwrap();

    broker.interrupt();
    let second = deliveries.recv().await.unwrap();
    let third = deliveries.recv().await.unwrap();
    let (old, new): (Vec<_>, Vec<_>) =
        [second, third].into_iter().partition(|again| again.message.reply_to == first.message.reply_to);
    let ([old], [new]) = (&old[..], &new[..]) else { panic!("one comes back, one is sent again") };
    assert_eq!([old.message.id, new.message.id], [first.message.id; 2]);
    assert_eq!(site.answer(old, &coded()).await, Published::Returned);
    assert_eq!(site.answer(new, &coded()).await, Published::Accepted);
    assert_eq!(result.await.unwrap(), Ok(coded().unwrap()));
    assert!(site.metrics.encode().contains("faceline_gateway_republished_total 1"));
}

#[tokio::test]
async fn an_answer_under_other_keys_is_named() {
    let site = Site::new(BrokerSettings::default()).await;
    let mut deliveries = site.deliveries().await;
    let result = site.submit(job(b"x"));
    let delivery = deliveries.recv().await.unwrap();
    let stranger = Site { keys: KeyRing::generate().unwrap(), ..site };
    stranger.answer(&delivery, &coded()).await;
    assert_eq!(result.await.unwrap(), Err(SubmitError::Failed(JobFailure::OtherKeys)));
}

#[tokio::test]
async fn concurrent_jobs_get_their_own_answers() {
    let site = Arc::new(Site::new(BrokerSettings::default()).await);
    let mut deliveries = site.deliveries().await;
    let worker = Arc::clone(&site);
    tokio::spawn(async move {
        while let Some(delivery) = deliveries.recv().await {
            let digest = delivery.message.id.to_string();
            worker.answer(&delivery, &Ok(JobResult::Coded(CodedPicture { digest, face: None }))).await;
            delivery.settle(Settlement::Ack).await.unwrap();
        }
    });
    let jobs: Vec<_> = (0..100).map(|_| job(b"x")).collect();
    let calls: Vec<_> = jobs.iter().map(|job| (job.id, site.submit(job.clone()))).collect();
    for (id, call) in calls {
        let JobResult::Coded(coded) = call.await.unwrap().unwrap() else { panic!("another kind of result") };
        assert_eq!(coded.digest, id.to_string());
    }
}
