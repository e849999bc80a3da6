//! Replays over RabbitMQ and Redis, with two gateways.

use faceline_gateway::replays::ReplayStatus;
use faceline_gateway_store::outbox::Lane;
use faceline_shared::job::replay::{FailedReason, Verdict};
use faceline_shared::settings::BrokerSettings;
use faceline_shared::testkit::{RabbitMq, Redis};

use super::fixture::{VideoWorker, best_image, depth, ended, judged, submit, two_gateways};
use super::receiver::{Receiver, Reply};
use crate::stores::Stores;

#[tokio::test]
async fn replays_end_over_a_broker_and_a_store_that_gateways_share() {
    let (mut rabbitmq, redis) = tokio::join!(RabbitMq::start(), Redis::start_persistent());
    let settings = BrokerSettings {
        url: rabbitmq.url().parse().unwrap(),
        prefix: "test.".into(),
        ..BrokerSettings::default()
    };
    let stores = Stores::new().shared(&redis, &settings);
    let gateways = two_gateways(&stores).await;
    let receiver = Receiver::start(|count| Reply::Status(if count < 2 { 500 } else { 200 })).await;
    let mut worker = VideoWorker::start(&stores).await;
    let session = gateways[0].session(&receiver.session(600)).await;
    submit(&gateways[0], session).await;
    let job = worker.next().await;
    assert_eq!(job.delivery.message.reply_to.as_deref(), Some("test.faceline.results"));
    job.answer(&judged(Verdict::Success, Some(best_image()))).await;
    assert_eq!(ended(&gateways[1], session).await.status, ReplayStatus::Success);
    let received = receiver.until(3).await;
    assert!(
        received.iter().all(|callback| callback.headers["webhook-id"] == received[0].headers["webhook-id"])
    );

    // The broker stops while a worker has a job, and is restarted.
    let session = gateways[1].session(&receiver.session(600)).await;
    submit(&gateways[1], session).await;
    worker.next().await;
    rabbitmq.kill9().await;
    rabbitmq.restart().await;
    worker.next().await.answer(&judged(Verdict::Failed(FailedReason::TooFar), None)).await;
    assert_eq!(ended(&gateways[0], session).await.status, ReplayStatus::Failed);
    receiver.until(4).await;
    gateways[0].until(async || depth(&gateways[0], Lane::Callbacks).await == 0).await;
}
