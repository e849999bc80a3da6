//! RabbitMQ in a memory alarm: it stops reading from connections that publish.

use std::time::{Duration, Instant};

use faceline_shared::broker::Publish as _;
use faceline_shared::broker::{
    BrokerSettings, Published, Queue, RetryingPublisher, Settlement, SharedBroker, export_health,
};
use faceline_shared::telemetry::Metrics;
use faceline_shared::testkit::RabbitMq;

use super::rabbitmq::{connect, settings};
use super::{body, message, next, publish, publish_until};
use crate::soon;

/// The first message during an alarm has its outcome within this time. Without the broker's notice of the alarm it
/// would take `broker.confirm_timeout`.
const PROMPT: Duration = Duration::from_secs(3);

async fn alarm(node: &RabbitMq, is_on: bool) {
    // A node is in alarm above this share of the machine's memory.
    let share = if is_on { "0.0001" } else { "0.8" };
    node.control(&["set_vm_memory_high_watermark", share]).await;
}

fn blocked(metrics: &Metrics) -> bool {
    metrics.encode().contains("\nfaceline_broker_blocked 1\n")
}

#[tokio::test]
async fn an_alarm_is_told_at_once_and_ends() {
    let node = RabbitMq::start().await;
    let settings = BrokerSettings { confirm_timeout: Duration::from_secs(30), ..settings(node.url()) };
    let broker: SharedBroker = connect(&settings);
    let metrics = Metrics::new();
    export_health(&broker, &metrics);
    let mut deliveries = broker.consume(&Queue::Interactive, 10).await;
    publish(&*broker, &Queue::Interactive, &["before"]).await;
    let held = next(&mut deliveries).await;
    assert!(!blocked(&metrics) && metrics.encode().contains("\nfaceline_broker_connected 1\n"));

    alarm(&node, true).await;
    let publisher = RetryingPublisher::new(broker.clone());
    let started = Instant::now();
    // Several messages are published when the alarm begins.
    let first = ["one", "two", "three"].map(|body| async {
        let message = message(body);
        publisher.publish(&Queue::Interactive, &message).await
    });
    for outcome in soon(futures_util::future::join_all(first)).await {
        assert_eq!(outcome, Published::Blocked);
    }
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    assert!(blocked(&metrics));
    assert!(broker.health().detail().is_some_and(|detail| detail.contains("memory")));
    assert!(broker.is_connected());

    let started = Instant::now();
    for _ in 0..50 {
        assert_eq!(publisher.publish(&Queue::Interactive, &message("later")).await, Published::Blocked);
        broker.announce("dropped".into()).await;
    }
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    // Another queue's channel would have to be opened first.
    assert_eq!(publisher.publish(&Queue::Replay, &message("later")).await, Published::Blocked);
    // A delivered message can be settled, because consuming has a connection of its own.
    held.settle(Settlement::Ack).await.unwrap();
    soon(held.flush_settlements()).await.unwrap();
    assert!(broker.is_connected(), "the connections stay");

    alarm(&node, false).await;
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
    assert!(!blocked(&metrics));
    // The messages with an open outcome may arrive, once each. No message arrives that was refused at once.
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|last| last != "after") {
        let delivery = next(&mut deliveries).await;
        delivery.settle(Settlement::Ack).await.unwrap();
        arrived.push(body(&delivery).to_owned());
    }
    arrived.pop();
    arrived.sort();
    let before = arrived.len();
    arrived.dedup();
    assert_eq!(arrived.len(), before, "{arrived:?}");
    assert!(arrived.iter().all(|body| ["one", "two", "three"].contains(&body.as_str())), "{arrived:?}");
}
