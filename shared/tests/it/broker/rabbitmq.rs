//! The conformance suite on RabbitMQ, and tests of network faults and of restarts of the node.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::broker::{
    BrokerError, BrokerSettings, Message, Published, Queue, ReplyEvent, SettleError, Settlement,
    SharedBroker, TopologyMode,
};
use faceline_shared::face::ImageType;
use faceline_shared::job::{CarriedPicture, Coding, JobEnvelope, Routing, Task};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{BrokerUrl, InvalidUrl};
use faceline_shared::testkit::{CutProxy, RabbitMq};
use futures_util::StreamExt;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use uuid::Uuid;

use super::suite::{Fixture, conformance};
use super::{body, message, next, publish, publish_until};
use crate::files::Files;
use crate::{never, soon};

/// The node for tests that leave it running.
static NODE: OnceCell<RabbitMq> = OnceCell::const_new();

/// The node for tests that kill it or put it into an alarm; one test at a time.
static KILLABLE_NODE: OnceCell<Mutex<RabbitMq>> = OnceCell::const_new();

pub(super) async fn node() -> &'static RabbitMq {
    NODE.get_or_init(RabbitMq::start).await
}

async fn killable_node() -> MutexGuard<'static, RabbitMq> {
    KILLABLE_NODE.get_or_init(async || Mutex::new(RabbitMq::start().await)).await.lock().await
}

/// Settings with a prefix that no other test uses.
pub(super) fn settings(url: String) -> BrokerSettings {
    BrokerSettings {
        url: BrokerUrl::Amqp(vec![url.into()]),
        prefix: format!("{}.", Uuid::now_v7()),
        ..BrokerSettings::default()
    }
}

pub(super) fn connect(settings: &BrokerSettings) -> SharedBroker {
    faceline_shared::broker::open(settings).expect("the address is good")
}

struct Proxied {
    proxy: CutProxy,
    settings: BrokerSettings,
    broker: SharedBroker,
}

impl Fixture for Proxied {
    async fn start(settings: BrokerSettings) -> Self {
        let node = node().await;
        let proxy = CutProxy::start(node.address()).await;
        let settings = BrokerSettings {
            url: node.url_at(proxy.address()).parse().unwrap(),
            prefix: format!("{}.", Uuid::now_v7()),
            ..settings
        };
        let broker = connect(&settings);
        // Waits for the connection, so tests do not observe the start.
        soon(broker.depth(&Queue::Interactive)).await.expect("the node is there");
        Self { proxy, settings, broker }
    }

    fn broker(&self) -> SharedBroker {
        SharedBroker::clone(&self.broker)
    }

    fn interrupt(&self) {
        self.proxy.cut();
    }
}

conformance!(super::Proxied);

#[tokio::test]
async fn what_a_silent_connection_took_is_unknown_and_others_follow() {
    let settings = BrokerSettings { confirm_timeout: Duration::from_secs(1), ..BrokerSettings::default() };
    let fixture = Proxied::start(settings).await;
    publish(&*fixture.broker, &Queue::Interactive, &["before"]).await;
    fixture.proxy.stall();
    assert_eq!(fixture.broker.publish(&Queue::Interactive, &message("stalled")).await, Published::Unknown);
    fixture.proxy.pass();
    publish_until(&*fixture.broker, &Queue::Interactive, "after", Published::Accepted).await;
}

#[tokio::test]
async fn an_unknown_message_may_have_arrived() {
    let settings = BrokerSettings { confirm_timeout: Duration::from_secs(1), ..BrokerSettings::default() };
    let fixture = Proxied::start(settings).await;
    let url = node().await.url();
    let direct = connect(&BrokerSettings { url: url.parse().unwrap(), ..fixture.settings.clone() });
    let mut deliveries = direct.consume(&Queue::Interactive, 10).await;
    publish(&*fixture.broker, &Queue::Interactive, &["before"]).await;
    next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();

    fixture.proxy.mute();
    assert_eq!(fixture.broker.publish(&Queue::Interactive, &message("muted")).await, Published::Unknown);
    assert_eq!(body(&next(&mut deliveries).await), "muted");
}

#[tokio::test]
async fn without_a_broker_publishes_fail_at_once_and_all_comes_back_by_itself() {
    let fixture = Proxied::start(BrokerSettings::default()).await;
    let broker = &*fixture.broker;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    fixture.proxy.refuse();
    publish_until(broker, &Queue::Interactive, "lost", Published::Unreachable).await;
    assert!(!broker.is_connected());
    assert!(matches!(broker.depth(&Queue::Interactive).await, Err(BrokerError::Unreachable(_))));
    never(deliveries.next()).await;

    fixture.proxy.pass();
    publish_until(broker, &Queue::Interactive, "found", Published::Accepted).await;
    assert_eq!(body(&next(&mut deliveries).await), "found");
    assert!(broker.is_connected());
}

#[tokio::test]
async fn a_queue_that_is_deleted_under_its_consumer_is_made_again() {
    let fixture = Proxied::start(BrokerSettings::default()).await;
    let broker = &*fixture.broker;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    publish(broker, &Queue::Interactive, &["before"]).await;
    next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();

    let queue = format!("{}{}", fixture.settings.prefix, Queue::Interactive.name());
    // The stream notices the deletion while it is polled.
    let waiting = tokio::spawn(async move { soon(deliveries.next()).await });
    node().await.control(&["delete_queue", &queue]).await;
    publish_until(broker, &Queue::Interactive, "after", Published::Accepted).await;
    assert_eq!(body(&waiting.await.unwrap().unwrap()), "after");
}

#[tokio::test]
async fn a_passive_client_waits_for_queues_that_others_make() {
    let declare = settings(node().await.url());
    let passive = connect(&BrokerSettings { topology: TopologyMode::Passive, ..declare.clone() });
    match soon(passive.depth(&Queue::Interactive)).await {
        Err(BrokerError::Topology(reason)) => {
            assert!(reason.contains(Queue::Interactive.name()), "{reason}");
        }
        other => panic!("there should be no queue: {other:?}"),
    }
    assert!(!passive.is_connected());
    assert_eq!(passive.publish(&Queue::Interactive, &message("job")).await, Published::Unreachable);

    let _declaring = connect(&declare);
    publish_until(&*passive, &Queue::Interactive, "job", Published::Accepted).await;
    let mut replies = passive.replies("g1").await;
    assert!(matches!(soon(replies.next()).await, Some(ReplyEvent::Opened { .. })));
}

#[tokio::test]
async fn queues_of_another_form_are_an_error_that_names_the_difference() {
    let first = settings(node().await.url());
    let declared = connect(&first);
    soon(declared.depth(&Queue::Interactive)).await.unwrap();
    let second = connect(&BrokerSettings { max_length: first.max_length + 1, ..first });
    match soon(second.depth(&Queue::Interactive)).await {
        Err(BrokerError::Topology(reason)) => assert!(reason.contains("x-max-length"), "{reason}"),
        other => panic!("the queues should not fit: {other:?}"),
    }
    assert!(!second.is_connected());
    assert!(declared.is_connected());
}

#[tokio::test]
async fn a_wrong_password_is_told_but_not_shown() {
    let url = node().await.url().replace(":guest@", ":s3cret@");
    let settings = settings(url);
    let broker = connect(&settings);
    let error = soon(broker.depth(&Queue::Interactive)).await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::Credentials(reason) if reason.contains("ACCESS_REFUSED")),
        "{error}"
    );
    assert!(!format!("{error} {error:?} {settings:?}").contains("s3cret"));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_being_repeated() {
    for url in ["amqp://guest:s3cret@host:port", "amqp:guest:s3cret", "http://guest:s3cret@host", "s3cret"] {
        let parsed = url.parse().map_err(|error: InvalidUrl| BrokerError::Url(error.to_string()));
        let with = |url| BrokerSettings { url, ..BrokerSettings::default() };
        let error = parsed.and_then(|url| faceline_shared::broker::open(&with(url))).err().unwrap();
        assert!(matches!(error, BrokerError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn accepted_messages_survive_the_death_of_the_broker() {
    let mut node = killable_node().await;
    let broker = connect(&settings(node.url()));
    let mut deliveries = broker.consume(&Queue::Interactive, 2).await;
    let sent: BTreeSet<_> = (0..20).map(|number| format!("{number:02}")).collect();
    publish(&*broker, &Queue::Interactive, &sent.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let held = [next(&mut deliveries).await, next(&mut deliveries).await];

    node.kill9().await;
    publish_until(&*broker, &Queue::Interactive, "lost", Published::Unreachable).await;
    node.restart().await;

    let first = next(&mut deliveries).await;
    let second = next(&mut deliveries).await;
    never(deliveries.next()).await;
    for delivery in &held {
        assert_eq!(delivery.settle(Settlement::Ack).await, Err(SettleError::Gone));
    }
    let mut arrived = BTreeSet::new();
    for delivery in [first, second] {
        delivery.settle(Settlement::Ack).await.unwrap();
        arrived.insert(body(&delivery).to_owned());
    }
    while arrived.len() < sent.len() {
        let delivery = next(&mut deliveries).await;
        delivery.settle(Settlement::Ack).await.unwrap();
        arrived.insert(body(&delivery).to_owned());
    }
    assert_eq!(arrived, sent);
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
    assert_eq!(body(&next(&mut deliveries).await), "after");
}

#[tokio::test]
async fn a_broker_without_memory_blocks_publishers() {
    let node = killable_node().await;
    let settings = BrokerSettings { confirm_timeout: Duration::from_secs(1), ..settings(node.url()) };
    let broker = connect(&settings);
    publish(&*broker, &Queue::Interactive, &["before"]).await;
    node.control(&["set_vm_memory_high_watermark", "0"]).await;
    publish_until(&*broker, &Queue::Interactive, "refused", Published::Blocked).await;
    node.control(&["set_vm_memory_high_watermark", "0.4"]).await;
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
}

#[tokio::test]
async fn an_emptied_node_has_no_queues_and_takes_new_ones() {
    let node = killable_node().await;
    let settings = settings(node.url());
    let broker = connect(&settings);
    publish(&*broker, &Queue::Interactive, &["before"]).await;
    broker.close().await;
    let queues = node.control(&["list_queues", "name"]).await;
    assert!(queues.contains(&settings.prefix), "there was no queue, so the test shows nothing");

    node.empty().await;
    let queues = node.control(&["list_queues", "name"]).await;
    assert!(!queues.contains(&settings.prefix), "{queues}");
    let broker = connect(&settings);
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    assert_eq!(body(&next(&mut deliveries).await), "after");
}

#[tokio::test]
async fn no_picture_lies_in_the_brokers_files() {
    let node = node().await;
    let broker = connect(&settings(node.url()));
    let ring = KeyRing::generate().unwrap();
    let picture = format!("picture of {}", Uuid::now_v7());
    let coding = Coding {
        picture: CarriedPicture::Inline(Bytes::from(picture.clone())),
        image_type: ImageType::Selfie,
        rotate: false,
    };
    let id = Uuid::now_v7();
    let routing = Routing {
        id,
        client: "bank".into(),
        gateway: "g1".into(),
        budget: Duration::from_secs(30),
        traceparent: String::new(),
    };
    let envelope = JobEnvelope::seal(routing, &Task::Code(coding), &ring).unwrap();
    let sealed = Message { id, body: envelope.encode().unwrap(), ..message("") };
    assert_eq!(broker.publish(&Queue::Replay, &sealed).await, Published::Accepted);

    let files = Files::read(&node.data_dir());
    assert!(files.contain(&id.to_string()), "the message is not in the files, so the test shows nothing");
    assert!(!files.contain(&picture));
}

/// Measures the throughput of one client: `cargo test --release -p faceline-shared --test it throughput -- --ignored
/// --nocapture --test-threads 1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput() {
    const IN_FLIGHT: usize = 16;
    for (bytes, count) in [(9_000, 30_000), (200_000, 3_000)] {
        let settings = settings(node().await.url());
        let broker = connect(&BrokerSettings { max_length: 100_000, max_length_bytes: 1 << 30, ..settings });
        let mut deliveries = broker.consume(&Queue::Interactive, 8).await;
        let sample = Message { body: Bytes::from(vec![7; bytes]), ..message("") };
        publish(&*broker, &Queue::Interactive, &["warm"]).await;
        next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();

        let started = Instant::now();
        let publishing = futures_util::stream::iter(0..count)
            .map(async |_| {
                let asked = Instant::now();
                let outcome = broker.publish(&Queue::Interactive, &sample).await;
                assert_eq!(outcome, Published::Accepted);
                asked.elapsed()
            })
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<_>>();
        let consuming = async {
            for _ in 0..count {
                next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();
            }
        };
        let (mut confirms, ()) = tokio::join!(publishing, consuming);
        let elapsed = started.elapsed();
        confirms.sort_unstable();
        println!(
            "{bytes} bytes: {:.0} messages/s, confirm p50 {:?} p99 {:?}",
            f64::from(count) / elapsed.as_secs_f64(),
            confirms[confirms.len() / 2],
            confirms[confirms.len() * 99 / 100],
        );
    }
}
