//! The life of a session: its creation, lookup by its full name only, deletion, and expiry.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::outbox::{Lane, NewRow};
use faceline_gateway_store::sessions::{Deletion, FaceLookup, SessionName};
use tokio::time::Instant;

use crate::fixture::{
    Fixture, GRAIN, HOUR, MINUTE, add, assert_nowhere, bytes, conformance, created, later, name, row,
    set_in_progress, until,
};

conformance!(
    a_session_comes_back_as_it_was_created
    a_name_is_taken_once
    a_session_is_its_clients_alone
    a_session_is_there_until_its_time_is_over
    a_name_is_free_again_when_its_session_is_gone
    a_deleted_session_is_nowhere
    a_replay_in_progress_keeps_its_session
    what_a_store_holds_survives_its_restart
);

async fn a_session_comes_back_as_it_was_created<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.health.check().await.unwrap();
    for body in [&b"a body"[..], b"", b"\0\xff\r\n"] {
        let session = name();
        assert_nowhere(store, &session).await;
        store
            .sessions
            .create(&session, Bytes::copy_from_slice(body), MINUTE, later(), &ClientBounds::NONE)
            .await
            .unwrap();
        let found = store.sessions.session(&session).await.unwrap().unwrap();
        assert_eq!(found.body, body);
        assert_eq!(store.sessions.faces(&session).await.unwrap(), Some(vec![]));
    }
    let for_ever = name();
    store.sessions.create(&for_ever, bytes("x"), Duration::MAX, later(), &ClientBounds::NONE).await.unwrap();
    assert!(store.sessions.session(&for_ever).await.unwrap().unwrap().left > 10_000 * HOUR);
}

async fn a_name_is_taken_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = name();
    store.sessions.create(&session, bytes("first"), MINUTE, later(), &ClientBounds::NONE).await.unwrap();
    // A second creation with the same body is refused too.
    for body in ["first", "second"] {
        let refused = store.sessions.create(&session, bytes(body), HOUR, later(), &ClientBounds::NONE).await;
        assert!(matches!(refused, Err(StoreError::Exists)), "{refused:?}");
    }
    let found = store.sessions.session(&session).await.unwrap().unwrap();
    assert_eq!(found.body, "first");
    assert!(found.left <= MINUTE);
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 1);
}

async fn a_session_is_its_clients_alone<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let face = add(store, &session, "a face").await;
    for client in ["", "cli", "client2", "client/", "client/x", "{client}", "Client", "*"] {
        let others = SessionName { client: client.into(), id: session.id };
        assert_nowhere(store, &others).await;
        assert_eq!(store.sessions.face(&others, face).await.unwrap(), FaceLookup::NoSession);
        assert_eq!(store.sessions.delete_faces(&others, &[face], None).await.unwrap(), None);

        store.sessions.create(&others, bytes(client), HOUR, later(), &ClientBounds::NONE).await.unwrap();
        add(store, &others, client).await;
    }
    assert_eq!(store.sessions.session(&session).await.unwrap().unwrap().body, "a session");
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), [(face, bytes("a face"))]);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
    let left = SessionName { client: "client2".into(), id: session.id };
    assert_eq!(store.sessions.faces(&left).await.unwrap().unwrap().len(), 1);
}

async fn a_session_is_there_until_its_time_is_over<F: Fixture>() {
    const TTL: Duration = Duration::from_millis(700);
    let fixture = F::start().await;
    let store = fixture.store();
    let session = name();
    let before = Instant::now();
    store.sessions.create(&session, bytes("x"), TTL, later(), &ClientBounds::NONE).await.unwrap();
    let after = Instant::now();
    let face = add(store, &session, "a face").await;
    assert!(set_in_progress(store, &session, true).await);

    // The three operations alternate until each has found the session ended.
    let mut is_over = [false; 3];
    while is_over != [true; 3] {
        for (index, is_over) in is_over.iter_mut().enumerate() {
            let asked = Instant::now();
            *is_over = match index {
                0 => match store.sessions.session(&session).await.unwrap() {
                    Some(found) => {
                        assert!(Instant::now() + found.left + GRAIN >= before + TTL);
                        assert!(asked + found.left <= after + TTL + GRAIN);
                        false
                    }
                    None => true,
                },
                1 => store.sessions.face(&session, face).await.unwrap() == FaceLookup::NoSession,
                _ => store.sessions.faces(&session).await.unwrap().is_none(),
            };
            if *is_over {
                assert!(Instant::now() + GRAIN >= before + TTL, "over after {:?}", before.elapsed());
            } else {
                assert!(asked <= after + TTL + GRAIN, "there after {:?}", asked - after);
            }
        }
    }
    assert_nowhere(store, &session).await;
}

async fn a_name_is_free_again_when_its_session_is_gone<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = name();
    store
        .sessions
        .create(&session, bytes("ends"), Duration::from_millis(200), later(), &ClientBounds::NONE)
        .await
        .unwrap();
    add(store, &session, "of the first").await;
    let (_, ()) = until(async || {
        match store.sessions.create(&session, bytes("is deleted"), HOUR, later(), &ClientBounds::NONE).await {
            Ok(()) => Some(()),
            Err(StoreError::Exists) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    assert_eq!(store.sessions.session(&session).await.unwrap().unwrap().body, "is deleted");
    assert_eq!(store.sessions.faces(&session).await.unwrap(), Some(vec![]));

    add(store, &session, "of the second").await;
    store.sessions.delete(&session, later()).await.unwrap();
    store.sessions.create(&session, bytes("third"), HOUR, later(), &ClientBounds::NONE).await.unwrap();
    assert_eq!(store.sessions.faces(&session).await.unwrap(), Some(vec![]));
}

async fn a_deleted_session_is_nowhere<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let other = created(store).await;
    let session = created(store).await;
    let face = add(store, &session, "a face").await;
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
    assert_nowhere(store, &session).await;
    assert_eq!(store.sessions.face(&session, face).await.unwrap(), FaceLookup::NoSession);
    assert!(store.sessions.session(&other).await.unwrap().is_some());
}

async fn a_replay_in_progress_keeps_its_session<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = name();
    let end = row("its time is over", HOUR);
    let deleted = NewRow { id: end.id, body: bytes("deleted"), due_in: Duration::ZERO };
    store.sessions.create(&session, bytes("a session"), HOUR, end, &ClientBounds::NONE).await.unwrap();
    let face = add(store, &session, "a face").await;

    for _ in 0..2 {
        assert!(set_in_progress(store, &session, true).await);
        assert_eq!(
            store.sessions.delete(&session, deleted.clone()).await.unwrap(),
            Deletion::ReplayInProgress
        );
    }
    let found = store.sessions.session(&session).await.unwrap().unwrap();
    assert_eq!(found.body, "a session");
    assert!(found.left <= HOUR && found.left > HOUR - MINUTE);
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), [(face, bytes("a face"))]);
    assert_eq!(store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap(), [], "the row was replaced");

    for _ in 0..2 {
        assert!(set_in_progress(store, &session, false).await);
    }
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.sessions.delete(&session, deleted).await.unwrap(), Deletion::Deleted);
    let leased = store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].body, "deleted");
}

async fn what_a_store_holds_survives_its_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let faces = [add(store, &session, "1").await, add(store, &session, "2").await];
    set_in_progress(store, &session, true).await;
    let ends = name();
    store
        .sessions
        .create(&ends, bytes("x"), Duration::from_millis(1), row("now", Duration::ZERO), &ClientBounds::NONE)
        .await
        .unwrap();
    let leased = store.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap();
    assert_eq!(leased.len(), 1);

    fixture.restart().await;
    let store = fixture.store();
    let found = store.sessions.session(&session).await.unwrap().unwrap();
    assert_eq!(found.body, "a session");
    assert!(found.left <= HOUR && found.left > HOUR - MINUTE);
    let found: Vec<_> = store.sessions.faces(&session).await.unwrap().unwrap();
    assert_eq!(found, [(faces[0], bytes("1")), (faces[1], bytes("2"))]);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
    assert_eq!(store.sessions.session(&ends).await.unwrap(), None);

    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 2);
    assert_eq!(store.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap(), [], "the lease is not over");
    assert!(store.outbox.finish(&leased[0]).await.unwrap());
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 1);
}
