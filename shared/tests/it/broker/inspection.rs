//! Inspections by operators, and dead letters that are published again.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::broker::rabbitmq::{
    Inspection, LetterKind, NotRequeued, QueueState, RabbitMqBroker, RequeueError, RoundTrip,
};
use faceline_shared::broker::{
    Broker as _, Consume as _, Message, Publish as _, Published, Queue, Settlement,
};
use faceline_shared::face::ImageType;
use faceline_shared::job::{CarriedPicture, Coding, JobEnvelope, Routing, Task};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{BrokerSettings, BrokerUrl};
use faceline_shared::testkit::RabbitMq;
use uuid::Uuid;

use super::next;
use crate::soon;

/// A job in a message; one with a context is that of a replay.
fn job(ring: &KeyRing, budget: Duration, is_replay: bool) -> Message {
    let routing = Routing {
        id: Uuid::now_v7(),
        client: "bank".into(),
        gateway: "g1".into(),
        budget,
        traceparent: String::new(),
    };
    let id = routing.id;
    let picture = CarriedPicture::Inline(Bytes::from_static(b"secret picture"));
    let task = Task::Code(Coding { picture, image_type: ImageType::Selfie, rotate: false });
    let envelope = JobEnvelope::seal(routing, &task, ring).unwrap();
    let envelope = if is_replay { envelope.with_context(vec![1]) } else { envelope };
    let body = envelope.encode().unwrap();
    Message { id, reply_to: Some("faceline.results".into()), expiration: None, earlier_attempts: 2, body }
}

/// Dead-letters `messages` in a queue, one after the other.
async fn let_die(broker: &RabbitMqBroker, queue: &Queue, messages: &[Message]) {
    let mut deliveries = soon(broker.consume(queue, 1)).await;
    for message in messages {
        assert_eq!(soon(broker.publish(queue, message)).await, Published::Accepted);
        let delivery = next(&mut deliveries).await;
        delivery.settle(Settlement::DeadLetter).await.unwrap();
        soon(delivery.flush_settlements()).await.unwrap();
    }
    soon(deliveries.close()).await;
}

async fn depth_is(broker: &RabbitMqBroker, queue: &Queue, count: u64) {
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    soon(async {
        while broker.depth(queue).await.unwrap().ready != count {
            poll.tick().await;
        }
    })
    .await;
}

async fn ids(inspection: &Inspection) -> Vec<Option<Uuid>> {
    let taken = soon(inspection.dead_letters(100)).await.unwrap();
    let ids = taken.letters().iter().map(|letter| letter.job).collect();
    soon(taken.give_back()).await.unwrap();
    ids
}

#[tokio::test]
async fn dead_letters_are_shown_in_place_and_whoever_dies_while_requeuing_loses_none() {
    let server = RabbitMq::start().await;
    let settings = BrokerSettings { url: server.url().parse().unwrap(), ..BrokerSettings::default() };
    nothing_is_declared(&settings).await;

    let BrokerUrl::Amqp(urls) = &settings.url else { panic!("a server") };
    let broker = RabbitMqBroker::connect(urls, &settings).unwrap();
    let ring = KeyRing::generate().unwrap();
    let hour = Duration::from_hours(1);
    let waiting = job(&ring, hour, false);
    let late = job(&ring, Duration::ZERO, false);
    let replay = job(&ring, hour, true);
    let foreign = Message { body: Bytes::from_static(b"other"), ..job(&ring, hour, false) };
    let sent = [waiting.clone(), late.clone(), replay.clone(), foreign.clone()];
    let expected: Vec<_> = sent.iter().map(|message| Some(message.id)).collect();
    let_die(&broker, &Queue::Replay, &sent).await;
    depth_is(&broker, &Queue::DeadLetters, 4).await;
    let inspection = soon(Inspection::open(&settings)).await.unwrap();
    assert!(matches!(
        soon(inspection.queue(&Queue::DeadLetters)).await.unwrap(),
        QueueState::Present(depth) if depth.ready == 4
    ));

    // More often than RabbitMQ 4 returns a message before it drops it.
    for time in 0..25 {
        assert_eq!(ids(&inspection).await, expected, "the time {time}");
    }
    depth_is(&broker, &Queue::DeadLetters, 4).await;

    // A process that dies between the publish and the acknowledgement leaves the job twice.
    let dying = soon(Inspection::open(&settings)).await.unwrap();
    let taken = soon(dying.dead_letters(1)).await.unwrap();
    let letter = &taken.letters()[0];
    assert_eq!((letter.kind, letter.died_in.as_deref()), (LetterKind::Request, Some("faceline.jobs.replay")));
    assert_eq!(soon(taken.publish_again(letter)).await.unwrap(), "faceline.jobs.replay");
    drop(taken);
    drop(dying);
    depth_is(&broker, &Queue::DeadLetters, 4).await;
    depth_is(&broker, &Queue::Replay, 1).await;

    let mut taken = soon(inspection.dead_letters(100)).await.unwrap();
    let letters = taken.letters().to_vec();
    for letter in &letters {
        let published = soon(taken.publish_again(letter)).await;
        match (letter.job, published) {
            (id, Ok(_)) if id == Some(waiting.id) || id == Some(replay.id) => {
                soon(taken.acknowledge(letter.position)).await.unwrap();
            }
            (id, Err(RequeueError::NotRequeued(NotRequeued::CallerGone(_)))) => assert_eq!(id, Some(late.id)),
            (id, Err(RequeueError::NotRequeued(NotRequeued::Unreadable))) => assert_eq!(id, Some(foreign.id)),
            other => panic!("{other:?}"),
        }
    }
    soon(taken.give_back()).await.unwrap();
    depth_is(&broker, &Queue::DeadLetters, 2).await;
    assert_eq!(ids(&inspection).await, [Some(late.id), Some(foreign.id)]);

    let mut deliveries = soon(broker.consume(&Queue::Replay, 10)).await;
    for (id, is_replay) in [(waiting.id, false), (waiting.id, false), (replay.id, true)] {
        let delivery = next(&mut deliveries).await;
        assert_eq!((delivery.message.id, delivery.total_attempts()), (id, 0), "its attempts begin anew");
        assert_eq!(delivery.message.reply_to, waiting.reply_to);
        let envelope = JobEnvelope::decode(&delivery.message.body).unwrap();
        let published_at =
            JobEnvelope::decode(if is_replay { &replay.body } else { &waiting.body }).unwrap().published_at;
        assert_eq!(envelope.published_at > published_at, is_replay, "a replay has its whole time anew");
        assert!(envelope.open(&ring).is_ok());
        delivery.settle(Settlement::Ack).await.unwrap();
    }
    broker.close().await;
}

/// Inspects a broker that no program has used: nothing exists there, and nothing is left behind.
async fn nothing_is_declared(settings: &BrokerSettings) {
    let inspection = soon(Inspection::open(settings)).await.unwrap();
    assert!(inspection.version().is_some_and(|version| version.starts_with(char::is_numeric)));
    assert_eq!(inspection.virtual_host(), "/");
    assert_eq!(soon(inspection.round_trip()).await.unwrap(), RoundTrip::Arrived);
    for queue in Queue::DURABLE {
        for _ in 0..2 {
            assert!(
                matches!(soon(inspection.queue(&queue)).await.unwrap(), QueueState::Missing),
                "{queue:?}"
            );
        }
    }
    assert!(
        soon(inspection.announcements(Bytes::new(), Duration::ZERO)).await.is_err(),
        "there is no exchange"
    );
    assert!(soon(inspection.dead_letters(1)).await.is_err(), "there is no queue");
}
