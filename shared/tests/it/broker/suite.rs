//! The conformance suite, which every adapter of the broker port passes.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::broker::{
    BrokerSettings, DELIVERY_LIMIT, Deliveries, Delivery, Message, Published, Queue, ReplyEvent, SettleError,
    Settlement, SharedBroker,
};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use super::{body, message, next, opened, publish, publish_until, reply, text};
use crate::{never, soon};

/// A broker with empty queues.
pub(super) trait Fixture {
    async fn start(settings: BrokerSettings) -> Self;

    fn broker(&self) -> SharedBroker;

    /// Cuts the connections to the broker.
    fn interrupt(&self);
}

async fn start<F: Fixture>() -> (F, SharedBroker) {
    let fixture = F::start(BrokerSettings::default()).await;
    let broker = fixture.broker();
    (fixture, broker)
}

/// Makes each function of the suite a test of `$fixture`.
macro_rules! conformance {
    ($fixture:ty) => {
        $crate::broker::suite::conformance!($fixture:
            a_message_arrives_as_it_was_published
            many_are_in_flight_at_once
            a_full_queue_refuses_until_there_is_room
            bytes_fill_a_queue_as_well
            what_expires_goes_to_the_dead_letters
            failed_attempts_are_counted_and_come_first
            what_is_given_back_again_and_again_is_not_counted
            what_a_closed_stream_had_ahead_is_not_counted
            a_stream_that_is_closed_while_it_opens_takes_nothing
            what_is_given_back_to_a_full_queue_waits_for_room
            a_dead_letter_leaves_its_queue
            the_broker_gives_up_in_the_end
            nothing_is_settled_twice
            prefetch_bounds_what_is_unsettled
            a_consumer_that_goes_leaves_its_messages_to_others
            a_reply_reaches_who_asked
            a_reply_to_nobody_is_returned
            a_reply_goes_to_the_durable_queue_that_its_job_names
            replies_to_the_living_and_the_dead_are_not_confused
            each_connection_has_a_reply_queue_of_its_own
            consumers_go_on_after_an_outage
            prefetch_holds_after_an_outage
            flushed_settlements_hold_after_an_outage
            everybody_hears_announcements
            depth_tells_messages_and_consumers
            the_end_is_the_end_of_all_streams
        );
    };
    ($fixture:ty: $($test:ident)*) => {
        mod conformance {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::broker::suite::$test::<$fixture>().await;
                }
            )*
        }
    };
}

pub(super) use conformance;

pub(super) async fn a_message_arrives_as_it_was_published<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let sent = Message {
        reply_to: Some("faceline.reply.g1.1".into()),
        expiration: Some(Duration::from_secs(90)),
        earlier_attempts: 2,
        body: Bytes::from(vec![7; 300_000]),
        ..message("")
    };
    assert_eq!(broker.publish(&Queue::Replay, &sent).await, Published::Accepted);
    let mut deliveries = broker.consume(&Queue::Replay, 1).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(delivery.message, sent);
    assert_eq!((delivery.attempts, delivery.total_attempts()), (0, 2));
    delivery.settle(Settlement::Ack).await.unwrap();
}

pub(super) async fn many_are_in_flight_at_once<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let sent: Vec<_> = (0..300).map(|number| message(&number.to_string())).collect();
    let outcomes = join_all(sent.iter().map(|message| broker.publish(&Queue::Interactive, message))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Published::Accepted), "{outcomes:?}");

    let mut deliveries = broker.consume(&Queue::Interactive, 50).await;
    let mut arrived = BTreeSet::new();
    for _ in &sent {
        let delivery = next(&mut deliveries).await;
        assert!(arrived.insert(delivery.message.id), "{} came twice", delivery.message.id);
        delivery.settle(Settlement::Ack).await.unwrap();
    }
    never(deliveries.next()).await;
}

/// Fills `queue` and returns how many messages it accepted.
async fn fill(broker: &SharedBroker, queue: &Queue, body: &str) -> usize {
    for taken in 0..200 {
        match soon(broker.publish(queue, &message(body))).await {
            Published::Accepted => (),
            Published::Full => return taken,
            other => panic!("{other:?}"),
        }
    }
    panic!("the queue has no bound");
}

pub(super) async fn a_full_queue_refuses_until_there_is_room<F: Fixture>() {
    let fixture = F::start(BrokerSettings { max_length: 10, ..BrokerSettings::default() }).await;
    let broker = fixture.broker();
    let taken = fill(&broker, &Queue::Interactive, "job").await;
    assert!(taken >= 10, "only {taken} were taken");

    let mut deliveries = broker.consume(&Queue::Interactive, 5).await;
    for _ in 0..taken {
        next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();
    }
    never(deliveries.next()).await;
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
    assert_eq!(body(&next(&mut deliveries).await), "after");
}

pub(super) async fn bytes_fill_a_queue_as_well<F: Fixture>() {
    let fixture = F::start(BrokerSettings { max_length_bytes: 100_000, ..BrokerSettings::default() }).await;
    let taken = fill(&fixture.broker(), &Queue::Interactive, &"x".repeat(9_000)).await;
    assert!(taken >= 11, "only {taken} were taken");
}

pub(super) async fn what_expires_goes_to_the_dead_letters<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let mut dead = broker.consume(&Queue::DeadLetters, 1).await;
    let expiring = Message { expiration: Some(Duration::from_millis(50)), ..message("late") };
    assert_eq!(broker.publish(&Queue::Interactive, &expiring).await, Published::Accepted);
    let letter = next(&mut dead).await;
    assert_eq!(letter.message, Message { expiration: None, ..expiring });
}

pub(super) async fn failed_attempts_are_counted_and_come_first<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["first", "second"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    next(&mut deliveries).await.settle(Settlement::Failed).await.unwrap();

    let again = next(&mut deliveries).await;
    assert_eq!((body(&again), again.attempts), ("first", 1));
    drop(again);
    let last = next(&mut deliveries).await;
    assert_eq!((body(&last), last.attempts), ("first", 2));
    last.settle(Settlement::Ack).await.unwrap();
    let second = next(&mut deliveries).await;
    assert_eq!((body(&second), second.attempts), ("second", 0));
}

pub(super) async fn what_is_given_back_again_and_again_is_not_counted<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let sent = Message { reply_to: Some("g".into()), earlier_attempts: 1, ..message("job") };
    assert_eq!(broker.publish(&Queue::Interactive, &sent).await, Published::Accepted);
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    for _ in 0..5 {
        let delivery = next(&mut deliveries).await;
        assert_eq!((&delivery.message, delivery.total_attempts()), (&sent, 1));
        delivery.settle(Settlement::GiveBack).await.unwrap();
    }
    // A failed attempt counts before and after.
    next(&mut deliveries).await.settle(Settlement::Failed).await.unwrap();
    let failed = next(&mut deliveries).await;
    assert_eq!(failed.total_attempts(), 2);
    failed.settle(Settlement::GiveBack).await.unwrap();
    let last = next(&mut deliveries).await;
    assert_eq!(last.total_attempts(), 2);
    last.settle(Settlement::Ack).await.unwrap();
    never(deliveries.next()).await;
}

pub(super) async fn what_a_closed_stream_had_ahead_is_not_counted<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["kept", "one", "two"]).await;
    for _ in 0..3 {
        let mut deliveries = broker.consume(&Queue::Interactive, 8).await;
        let kept = next(&mut deliveries).await;
        assert_eq!(kept.total_attempts(), 0);
        soon(deliveries.close()).await;
        assert!(soon(deliveries.next()).await.is_none(), "a closed stream goes on");
        kept.settle(Settlement::GiveBack).await.unwrap();
    }
    let mut deliveries = broker.consume(&Queue::Interactive, 8).await;
    let mut arrived = BTreeSet::new();
    for _ in 0..3 {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.total_attempts(), 0);
        arrived.insert(body(&delivery).to_owned());
        delivery.settle(Settlement::Ack).await.unwrap();
    }
    assert_eq!(arrived, BTreeSet::from(["kept", "one", "two"].map(str::to_owned)));
    never(deliveries.next()).await;
}

/// Polls for the next message this many times, or for as long as an open stream takes at most, and then gives up.
async fn poll_for_next(deliveries: &mut dyn Deliveries, polls: usize) {
    let mut next = deliveries.next();
    let mut polled = 0;
    let polling = poll_fn(|context| {
        polled += 1;
        let arrived = next.as_mut().poll(context).map(|delivery| delivery.expect("the stream goes on"));
        assert!(arrived.is_pending(), "the queue is empty");
        if polled == polls { Poll::Ready(()) } else { Poll::Pending }
    });
    let _ = timeout(Duration::from_millis(100), polling).await;
}

pub(super) async fn a_stream_that_is_closed_while_it_opens_takes_nothing<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    // A poll follows each step in which the stream opens.
    for polls in 1..=10 {
        let mut closed = broker.consume(&Queue::Interactive, 8).await;
        poll_for_next(&mut *closed, polls).await;
        soon(closed.close()).await;
        let mut dropped = broker.consume(&Queue::Interactive, 8).await;
        poll_for_next(&mut *dropped, polls).await;
    }
    let gone = async {
        let mut poll = interval(Duration::from_millis(10));
        while broker.depth(&Queue::Interactive).await.unwrap().consumers > 0 {
            poll.tick().await;
        }
    };
    soon(gone).await;
    publish(&*broker, &Queue::Interactive, &["one", "two"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 8).await;
    for text in ["one", "two"] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(body(&delivery), text);
        delivery.settle(Settlement::Ack).await.unwrap();
    }
}

pub(super) async fn what_is_given_back_to_a_full_queue_waits_for_room<F: Fixture>() {
    let fixture = F::start(BrokerSettings { max_length: 3, ..BrokerSettings::default() }).await;
    let broker = fixture.broker();
    publish(&*broker, &Queue::Interactive, &["given back"]).await;
    let mut first = broker.consume(&Queue::Interactive, 1).await;
    let held = next(&mut first).await;
    let filled = fill(&broker, &Queue::Interactive, "other").await;

    let mut second = broker.consume(&Queue::Interactive, 1).await;
    let consume = async {
        let mut bodies = Vec::new();
        for _ in 0..=filled {
            let delivery = next(&mut second).await;
            assert_eq!(delivery.total_attempts(), 0);
            bodies.push(body(&delivery).to_owned());
            delivery.settle(Settlement::Ack).await.unwrap();
        }
        bodies
    };
    // The stream must not take the message again itself.
    first.close().await;
    let (given_back, bodies) = tokio::join!(held.settle(Settlement::GiveBack), consume);
    given_back.unwrap();
    assert_eq!(bodies.iter().filter(|body| *body == "given back").count(), 1, "{bodies:?}");
}

pub(super) async fn a_dead_letter_leaves_its_queue<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Quarantine, &["poison"]).await;
    let mut deliveries = broker.consume(&Queue::Quarantine, 1).await;
    let poison = next(&mut deliveries).await;
    poison.settle(Settlement::DeadLetter).await.unwrap();
    let mut dead = broker.consume(&Queue::DeadLetters, 1).await;
    assert_eq!(next(&mut dead).await.message, poison.message);
    never(deliveries.next()).await;
}

pub(super) async fn the_broker_gives_up_in_the_end<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["poison"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    for attempts in 0..=DELIVERY_LIMIT {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.attempts, attempts);
        delivery.settle(Settlement::Failed).await.unwrap();
    }
    let mut dead = broker.consume(&Queue::DeadLetters, 1).await;
    assert_eq!(body(&next(&mut dead).await), "poison");
    never(deliveries.next()).await;
}

pub(super) async fn nothing_is_settled_twice<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["job"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    let delivery = next(&mut deliveries).await;
    delivery.settle(Settlement::Ack).await.unwrap();
    for settlement in [Settlement::Ack, Settlement::Failed, Settlement::GiveBack, Settlement::DeadLetter] {
        assert_eq!(delivery.settle(settlement).await, Err(SettleError::AlreadySettled));
    }
    drop(delivery);
    never(deliveries.next()).await;
}

/// Asserts that a consumer with a prefetch of 2 that holds `first` gets one more message, and a third one when it
/// settles the first.
async fn assert_prefetch_of_two(deliveries: &mut Box<dyn Deliveries>, first: Delivery) {
    let _second = next(deliveries).await;
    never(deliveries.next()).await;
    first.settle(Settlement::Ack).await.unwrap();
    let _third = next(deliveries).await;
    never(deliveries.next()).await;
}

pub(super) async fn prefetch_bounds_what_is_unsettled<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["1", "2", "3", "4"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 2).await;
    let first = next(&mut deliveries).await;
    assert_prefetch_of_two(&mut deliveries, first).await;
}

pub(super) async fn prefetch_holds_after_an_outage<F: Fixture>() {
    let (fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["1", "2", "3", "4"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 2).await;
    let _before = next(&mut deliveries).await;
    fixture.interrupt();
    let first = loop {
        // A delivery that was prefetched before the outage may come first.
        let delivery = next(&mut deliveries).await;
        if delivery.attempts > 0 {
            break delivery;
        }
    };
    assert_prefetch_of_two(&mut deliveries, first).await;
}

pub(super) async fn flushed_settlements_hold_after_an_outage<F: Fixture>() {
    const MANY: usize = 24;
    let (fixture, broker) = start::<F>().await;
    let mut deliveries = broker.consume(&Queue::Interactive, MANY as u16).await;
    for _ in 0..10 {
        publish(&*broker, &Queue::Interactive, &["settled"; MANY]).await;
        let mut held = Vec::new();
        for _ in 0..MANY {
            held.push(next(&mut deliveries).await);
        }
        let settled = held.iter().map(async |delivery| {
            delivery.settle(Settlement::Ack).await.unwrap();
            delivery.flush_settlements().await.unwrap();
        });
        join_all(settled).await;
        fixture.interrupt();
        publish_until(&*broker, &Queue::Interactive, "next", Published::Accepted).await;
        let after = next(&mut deliveries).await;
        assert_eq!((body(&after), after.attempts), ("next", 0));
        after.settle(Settlement::Ack).await.unwrap();
        after.flush_settlements().await.unwrap();
    }
}

pub(super) async fn a_consumer_that_goes_leaves_its_messages_to_others<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["kept", "dropped", "fetched"]).await;
    let mut first = broker.consume(&Queue::Interactive, 3).await;
    let kept = next(&mut first).await;
    let dropped = next(&mut first).await;
    drop(first);
    drop(dropped);

    let mut second = broker.consume(&Queue::Interactive, 3).await;
    let mut arrived = [next(&mut second).await, next(&mut second).await];
    arrived.sort_by_key(|delivery| body(delivery).to_owned());
    assert_eq!(arrived.each_ref().map(body), ["dropped", "fetched"]);
    assert_eq!(arrived[0].attempts, 1);
    // A delivery that its consumer still holds can be settled.
    kept.settle(Settlement::Ack).await.unwrap();
    never(second.next()).await;
}

pub(super) async fn a_reply_reaches_who_asked<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let (mut ours, mut others) = (broker.replies("g1").await, broker.replies("g2").await);
    let (our_queue, other_queue) = (opened(&mut ours).await, opened(&mut others).await);
    assert_ne!(our_queue, other_queue);

    let job = Message { reply_to: Some(our_queue.name().to_owned()), ..message("job") };
    assert_eq!(broker.publish(&Queue::Interactive, &job).await, Published::Accepted);
    let mut worker = broker.consume(&Queue::Interactive, 1).await;
    let taken = next(&mut worker).await;
    let answer = Message { id: taken.message.id, ..message("answer") };
    let reply_to = Queue::Reply(taken.message.reply_to.clone().unwrap());
    assert_eq!(broker.publish(&reply_to, &answer).await, Published::Accepted);
    taken.settle(Settlement::Ack).await.unwrap();

    assert_eq!(reply(&mut ours).await, answer);
    never(others.next()).await;
}

pub(super) async fn a_reply_to_nobody_is_returned<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let unknown = Queue::Reply("faceline.reply.nobody.1".into());
    assert_eq!(broker.publish(&unknown, &message("answer")).await, Published::Returned);

    let mut replies = broker.replies("g1").await;
    let queue = opened(&mut replies).await;
    publish(&*broker, &queue, &["answer"]).await;
    drop(replies);
    publish_until(&*broker, &queue, "answer", Published::Returned).await;
}

pub(super) async fn a_reply_goes_to_the_durable_queue_that_its_job_names<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let reply_to = broker.address(&Queue::Results);
    publish(&*broker, &Queue::Reply(reply_to), &["result"]).await;
    let mut results = broker.consume(&Queue::Results, 1).await;
    let result = next(&mut results).await;
    assert_eq!(body(&result), "result");
    // A durable queue keeps what is given back.
    result.settle(Settlement::GiveBack).await.unwrap();
    let result = next(&mut results).await;
    assert_eq!((body(&result), result.attempts), ("result", 0));
    result.settle(Settlement::Ack).await.unwrap();
}

pub(super) async fn replies_to_the_living_and_the_dead_are_not_confused<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let mut replies = broker.replies("g1").await;
    let living = opened(&mut replies).await;
    let dead = Queue::Reply(format!("{}.dead", living.name()));
    let answer = message("answer");
    for _ in 0..10 {
        let outcomes = join_all((0..40).map(async |number| {
            let (queue, expected) =
                if number % 2 == 0 { (&living, Published::Accepted) } else { (&dead, Published::Returned) };
            (broker.publish(queue, &answer).await, expected)
        }))
        .await;
        assert!(outcomes.iter().all(|(outcome, expected)| outcome == expected), "{outcomes:?}");
        for _ in 0..20 {
            reply(&mut replies).await;
        }
    }
}

pub(super) async fn each_connection_has_a_reply_queue_of_its_own<F: Fixture>() {
    let (fixture, broker) = start::<F>().await;
    let mut replies = broker.replies("g1").await;
    let mut past = BTreeSet::new();
    for _ in 0..3 {
        let queue = opened(&mut replies).await;
        assert!(past.insert(queue.name().to_owned()), "{queue:?} was used before");
        publish_until(&*broker, &queue, "answer", Published::Accepted).await;
        assert_eq!(text(&reply(&mut replies).await), "answer");

        fixture.interrupt();
        loop {
            match soon(replies.next()).await {
                Some(ReplyEvent::Lost) => break,
                // It was sent before the outage.
                Some(ReplyEvent::Reply(_)) => (),
                other => panic!("not the loss but {other:?}"),
            }
        }
        publish_until(&*broker, &queue, "answer", Published::Returned).await;
    }
}

pub(super) async fn consumers_go_on_after_an_outage<F: Fixture>() {
    let (fixture, broker) = start::<F>().await;
    let mut announcements = broker.announcements().await;
    publish(&*broker, &Queue::Interactive, &["job"]).await;
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    let mut held = next(&mut deliveries).await;
    for outages in 1..=3 {
        fixture.interrupt();
        let again = next(&mut deliveries).await;
        assert_eq!((again.message.id, again.attempts), (held.message.id, outages));
        assert_eq!(held.settle(Settlement::Ack).await, Err(SettleError::Gone));
        held = again;
    }
    held.settle(Settlement::Ack).await.unwrap();
    publish_until(&*broker, &Queue::Interactive, "next", Published::Accepted).await;
    assert_eq!(body(&next(&mut deliveries).await), "next");
    assert_eq!(announced(&broker, &mut announcements).await, "cancel");
}

/// Announces repeatedly until `subscriber` receives it, because an announcement only reaches present subscribers.
async fn announced(broker: &SharedBroker, subscriber: &mut mpsc::Receiver<Bytes>) -> Bytes {
    let repeat = async {
        loop {
            broker.announce(Bytes::from_static(b"cancel")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let received = async {
        tokio::select! { received = subscriber.recv() => received, () = repeat => None }
    };
    soon(received).await.expect("the stream goes on")
}

pub(super) async fn everybody_hears_announcements<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    let (mut first, mut second) = (broker.announcements().await, broker.announcements().await);
    let received = tokio::join!(announced(&broker, &mut first), announced(&broker, &mut second));
    assert_eq!(received, ("cancel".into(), "cancel".into()));
}

pub(super) async fn depth_tells_messages_and_consumers<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Results, &["1", "2", "3"]).await;
    let depth = async |queue: &Queue| {
        let depth = broker.depth(queue).await.unwrap();
        (depth.ready, depth.consumers)
    };
    assert_eq!(depth(&Queue::Results).await, (3, 0));
    assert_eq!(depth(&Queue::Interactive).await, (0, 0));
    let mut deliveries = broker.consume(&Queue::Results, 2).await;
    let held = [next(&mut deliveries).await, next(&mut deliveries).await];
    assert_eq!(depth(&Queue::Results).await, (1, 1));
    drop(held);
    assert!(broker.depth(&Queue::Reply("nobody".into())).await.is_err());
}

pub(super) async fn the_end_is_the_end_of_all_streams<F: Fixture>() {
    let (_fixture, broker) = start::<F>().await;
    publish(&*broker, &Queue::Interactive, &["job"]).await;
    assert!(broker.is_connected());
    let mut deliveries = broker.consume(&Queue::Interactive, 1).await;
    let mut replies = broker.replies("g1").await;
    let mut announcements = broker.announcements().await;
    let job = next(&mut deliveries).await;
    let queue = opened(&mut replies).await;

    soon(broker.close()).await;
    assert!(!broker.is_connected());
    assert!(soon(deliveries.next()).await.is_none());
    assert!(soon(replies.next()).await.is_none());
    assert_eq!(soon(announcements.recv()).await, None);
    assert_eq!(job.settle(Settlement::Ack).await, Err(SettleError::Gone));
    for queue in [&Queue::Interactive, &queue] {
        assert_eq!(broker.publish(queue, &message("job")).await, Published::Unreachable);
    }
    assert!(soon(broker.consume(&Queue::Interactive, 1).await.next()).await.is_none());
    assert!(broker.depth(&Queue::Interactive).await.is_err());
}
