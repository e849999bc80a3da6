//! Races between two gateways, of which one is first.

use std::time::Duration;

use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sessions::{Deletion, Insertion, SessionName};
use faceline_gateway_store::{ClientBounds, StoreError, Stores};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{
    Fixture, GRAIN, HOUR, MINUTE, add, assert_nowhere, bytes, conformance, created, later, name, row,
    set_in_progress,
};

conformance!(
    of_two_deletions_of_a_session_one_is_told
    of_two_creations_one_succeeds
    of_two_deletions_of_a_face_one_counts_it
    a_session_that_is_deleted_takes_no_face_along
    a_deletion_meets_a_creation
    a_deletion_meets_a_replay
    a_session_that_ends_takes_no_face
);

const ROUNDS: usize = 40;

/// Runs two futures on separate threads, so they start at the same time.
async fn at_once<A, B>(
    first: impl Future<Output = A> + Send + 'static,
    second: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let (first, second) = (tokio::spawn(first), tokio::spawn(second));
    (first.await.unwrap(), second.await.unwrap())
}

/// Runs an expression on each of both stores at the same time, with its own copies of the store and the session.
macro_rules! both {
    ($fixture:ident, $session:ident, |$store:ident, $name:ident| $first:expr, $second:expr) => {
        at_once(
            {
                let ($store, $name) = ($fixture.store().clone(), $session.clone());
                async move { $first }
            },
            {
                let ($store, $name) = ($fixture.second().clone(), $session.clone());
                async move { $second }
            },
        )
        .await
    };
}

async fn of_two_deletions_of_a_session_one_is_told<F: Fixture>() {
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let session = created(fixture.store()).await;
        let told = both!(
            fixture,
            session,
            |store, session| store.sessions.delete(&session, later()).await.unwrap(),
            store.sessions.delete(&session, later()).await.unwrap()
        );
        let one = (Deletion::Deleted, Deletion::NoSession);
        assert!(told == one || told == (one.1, one.0), "{told:?}");
    }
    // One row of each creation, and one of each pair of deletions.
    assert_eq!(fixture.store().outbox.depth(Lane::Sessions).await.unwrap(), 2 * ROUNDS as u64);
}

async fn of_two_creations_one_succeeds<F: Fixture>() {
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let session = name();
        let (first, second) = both!(
            fixture,
            session,
            |store, session| store
                .sessions
                .create(&session, bytes("first"), HOUR, later(), &ClientBounds::NONE)
                .await,
            store.sessions.create(&session, bytes("second"), HOUR, later(), &ClientBounds::NONE).await
        );
        let body = match (&first, &second) {
            (Ok(()), Err(StoreError::Exists)) => "first",
            (Err(StoreError::Exists), Ok(())) => "second",
            other => panic!("{other:?}"),
        };
        assert_eq!(fixture.store().sessions.session(&session).await.unwrap().unwrap().body, body);
    }
    assert_eq!(fixture.store().outbox.depth(Lane::Sessions).await.unwrap(), ROUNDS as u64);
}

async fn of_two_deletions_of_a_face_one_counts_it<F: Fixture>() {
    let fixture = F::start().await;
    let session = created(fixture.store()).await;
    for _ in 0..ROUNDS {
        let face = add(fixture.store(), &session, "x").await;
        let follow_up = || Some(row("clear up", Duration::ZERO));
        let counted = both!(
            fixture,
            session,
            |store, session| store.sessions.delete_faces(&session, &[face], follow_up()).await.unwrap(),
            store.sessions.delete_faces(&session, &[face], follow_up()).await.unwrap()
        );
        assert!([(Some(0), Some(1)), (Some(1), Some(0))].contains(&counted), "{counted:?}");
        assert_eq!(fixture.store().outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap().len(), 1);
    }
}

async fn a_session_that_is_deleted_takes_no_face_along<F: Fixture>() {
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let session = created(fixture.store()).await;
        let (deletion, insertion) = both!(
            fixture,
            session,
            |store, session| store.sessions.delete(&session, later()).await.unwrap(),
            store
                .sessions
                .add_face(&session, Uuid::new_v4(), bytes("x"), 9, &ClientBounds::NONE)
                .await
                .unwrap()
        );
        assert_eq!(deletion, Deletion::Deleted);
        assert_ne!(insertion, Insertion::Full);
        assert_nowhere(fixture.store(), &session).await;
        fixture
            .store()
            .sessions
            .create(&session, bytes("x"), HOUR, later(), &ClientBounds::NONE)
            .await
            .unwrap();
        assert_eq!(fixture.store().sessions.faces(&session).await.unwrap(), Some(vec![]));
    }
}

async fn a_deletion_meets_a_creation<F: Fixture>() {
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let session = name();
        let ((), deletion) = both!(
            fixture,
            session,
            |store, session| store
                .sessions
                .create(&session, bytes("x"), HOUR, later(), &ClientBounds::NONE)
                .await
                .unwrap(),
            store.sessions.delete(&session, later()).await.unwrap()
        );
        let is_there = fixture.store().sessions.session(&session).await.unwrap().is_some();
        assert_eq!(is_there, deletion == Deletion::NoSession);
    }
}

async fn a_deletion_meets_a_replay<F: Fixture>() {
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let session = created(fixture.store()).await;
        let outcome = both!(
            fixture,
            session,
            |store, session| store.sessions.delete(&session, later()).await.unwrap(),
            set_in_progress(&store, &session, true).await
        );
        match outcome {
            (Deletion::Deleted, false) => assert_nowhere(fixture.store(), &session).await,
            (Deletion::ReplayInProgress, true) => {
                assert!(fixture.store().sessions.session(&session).await.unwrap().is_some());
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn a_session_that_ends_takes_no_face<F: Fixture>() {
    const TTL: Duration = Duration::from_millis(150);

    async fn add_until_it_ends(store: Stores, session: SessionName, end: Instant) {
        loop {
            let asked = Instant::now();
            match store
                .sessions
                .add_face(&session, Uuid::new_v4(), bytes("x"), usize::MAX, &ClientBounds::NONE)
                .await
                .unwrap()
            {
                Insertion::Added => assert!(asked <= end + GRAIN, "{:?} too late", asked - end),
                outcome => break assert_eq!(outcome, Insertion::NoSession),
            }
        }
    }

    let fixture = F::start().await;
    for _ in 0..3 {
        let session = name();
        fixture
            .store()
            .sessions
            .create(&session, bytes("x"), TTL, later(), &ClientBounds::NONE)
            .await
            .unwrap();
        let end = Instant::now() + TTL;
        at_once(
            add_until_it_ends(fixture.store().clone(), session.clone(), end),
            add_until_it_ends(fixture.second().clone(), session.clone(), end),
        )
        .await;
        assert_nowhere(fixture.store(), &session).await;
        fixture
            .store()
            .sessions
            .create(&session, bytes("y"), HOUR, later(), &ClientBounds::NONE)
            .await
            .unwrap();
        assert_eq!(fixture.store().sessions.faces(&session).await.unwrap(), Some(vec![]));
    }
}
