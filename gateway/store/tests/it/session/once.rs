//! Requests that happen once.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::session::{Begun, Once};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{Fixture, HOUR, MINUTE, Store, bytes, conformance};

conformance! {
    the_first_run_goes_and_its_answer_is_the_answer
    another_request_under_the_same_name_is_told_so
    a_run_without_an_answer_makes_way_for_the_next
    a_run_that_is_never_heard_of_again_is_taken_over
    an_answer_is_forgotten_in_time
    of_many_one_goes
    an_answer_survives_a_restart
}

fn once() -> Once {
    let digest = || [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat().try_into().unwrap();
    Once {
        name: digest(),
        fingerprint: digest(),
        subject: Uuid::new_v4(),
        run: Uuid::new_v4(),
        lease: MINUTE,
        kept: HOUR,
    }
}

/// The same request, sent again.
fn again(once: Once) -> Once {
    Once { subject: Uuid::new_v4(), run: Uuid::new_v4(), ..once }
}

async fn begin(store: &Store, once: &Once) -> Begun<Bytes> {
    store.begin(once).await.unwrap()
}

fn goes(once: &Once) -> Begun<Bytes> {
    Begun::Go { subject: once.subject }
}

async fn the_first_run_goes_and_its_answer_is_the_answer<F: Fixture>() {
    let fixture = F::start().await;
    let first = once();
    assert_eq!(begin(fixture.store(), &first).await, goes(&first));
    let Begun::Running(left) = begin(fixture.second(), &again(first)).await else { panic!("two run") };
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    assert!(!fixture.second().end(&again(first), Some(bytes("not its own"))).await.unwrap());
    assert!(fixture.store().end(&first, Some(bytes("answer"))).await.unwrap());
    assert_eq!(begin(fixture.second(), &again(first)).await, Begun::Done(bytes("answer")));
    let other = once();
    assert_eq!(begin(fixture.store(), &other).await, goes(&other), "another name is not concerned");
}

async fn another_request_under_the_same_name_is_told_so<F: Fixture>() {
    let fixture = F::start().await;
    let first = once();
    let different = Once { name: first.name, ..once() };
    begin(fixture.store(), &first).await;
    assert_eq!(begin(fixture.second(), &different).await, Begun::Different);
    fixture.store().end(&first, Some(bytes("answer"))).await.unwrap();
    assert_eq!(begin(fixture.second(), &different).await, Begun::Different);
}

async fn a_run_without_an_answer_makes_way_for_the_next<F: Fixture>() {
    let fixture = F::start().await;
    let first = once();
    begin(fixture.store(), &first).await;
    assert!(fixture.store().end(&first, None).await.unwrap());
    let second = again(first);
    // What the first one made, if it did, is made again under the same id.
    assert_eq!(begin(fixture.second(), &second).await, goes(&first));
    assert!(!fixture.store().end(&first, Some(bytes("late"))).await.unwrap());
    assert!(fixture.second().end(&second, Some(bytes("answer"))).await.unwrap());
    assert_eq!(begin(fixture.store(), &again(first)).await, Begun::Done(bytes("answer")));
}

async fn a_run_that_is_never_heard_of_again_is_taken_over<F: Fixture>() {
    let fixture = F::start().await;
    let first = Once { lease: Duration::from_millis(50), ..once() };
    begin(fixture.store(), &first).await;
    let second = again(first);
    loop {
        match begin(fixture.second(), &second).await {
            Begun::Running(left) => {
                assert!(left <= first.lease, "{left:?}");
                tokio::time::sleep(left).await;
            }
            begun => break assert_eq!(begun, goes(&first)),
        }
    }
    assert!(!fixture.store().end(&first, None).await.unwrap());
}

async fn an_answer_is_forgotten_in_time<F: Fixture>() {
    let fixture = F::start().await;
    let first = Once { kept: Duration::from_millis(100), ..once() };
    begin(fixture.store(), &first).await;
    fixture.store().end(&first, Some(bytes("answer"))).await.unwrap();
    let next = again(first);
    let begun = loop {
        match begin(fixture.second(), &next).await {
            Begun::Done(answer) => assert_eq!(answer, bytes("answer")),
            begun => break begun,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(begun, goes(&next), "it is a new request");
}

async fn of_many_one_goes<F: Fixture>() {
    let fixture = F::start().await;
    let first = once();
    let runs: Vec<Once> = (0..20).map(|_| again(first)).collect();
    let begun = runs
        .iter()
        .enumerate()
        .map(|(index, run)| begin(if index % 2 == 0 { fixture.store() } else { fixture.second() }, run));
    let begun = join_all(begun).await;
    let went = begun.iter().filter(|begun| matches!(begun, Begun::Go { .. })).count();
    let waited = begun.iter().filter(|begun| matches!(begun, Begun::Running(_))).count();
    assert_eq!((went, waited), (1, 19), "{begun:?}");
}

async fn an_answer_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let (done, running) = (once(), once());
    begin(fixture.store(), &done).await;
    begin(fixture.store(), &running).await;
    fixture.store().end(&done, Some(bytes("answer"))).await.unwrap();
    fixture.restart().await;
    assert_eq!(begin(fixture.store(), &again(done)).await, Begun::Done(bytes("answer")));
    assert!(matches!(begin(fixture.store(), &again(running)).await, Begun::Running(_)));
}
