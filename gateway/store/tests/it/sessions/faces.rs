//! Faces: their order, their number, and the count of deletions.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sessions::{FaceLookup, Insertion};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::fixture::{Fixture, MINUTE, add, bytes, conformance, created, row};

conformance!(
    faces_come_back_in_the_order_in_which_they_were_added
    a_session_takes_so_many_faces_and_no_more
    a_session_takes_no_more_of_those_that_come_at_once
    a_face_is_added_once
    faces_that_are_deleted_are_counted_once
    a_follow_up_is_written_where_a_face_was_deleted
);

async fn faces_come_back_in_the_order_in_which_they_were_added<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let mut expected = Vec::new();
    for number in 0..50_u8 {
        let (face, body) = (Uuid::new_v4(), Bytes::from(vec![number; 3000]));
        let added =
            store.sessions.add_face(&session, face, body.clone(), 50, &ClientBounds::NONE).await.unwrap();
        assert_eq!(added, Insertion::Added);
        expected.push((face, body));
    }
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), expected);
    for (face, body) in &expected {
        assert_eq!(store.sessions.face(&session, *face).await.unwrap(), FaceLookup::Found(body.clone()));
    }
    // The deleted faces include the last one. A later face must not take its position before the others.
    for index in [49, 20, 7, 0] {
        let (face, _) = expected.remove(index);
        assert_eq!(store.sessions.delete_faces(&session, &[face], None).await.unwrap(), Some(1));
        assert_eq!(store.sessions.face(&session, face).await.unwrap(), FaceLookup::NoFace);
    }
    for body in ["", "\0"] {
        expected.push((add(store, &session, body).await, bytes(body)));
    }
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), expected);
}

async fn a_session_takes_so_many_faces_and_no_more<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let add = async |max_faces| {
        store
            .sessions
            .add_face(&session, Uuid::new_v4(), bytes("x"), max_faces, &ClientBounds::NONE)
            .await
            .unwrap()
    };
    assert_eq!(add(0).await, Insertion::Full);
    for _ in 0..3 {
        assert_eq!(add(3).await, Insertion::Added);
    }
    assert_eq!(add(3).await, Insertion::Full);
    assert_eq!(add(2).await, Insertion::Full);
    let faces = store.sessions.faces(&session).await.unwrap().unwrap();
    assert_eq!(faces.len(), 3);
    store.sessions.delete_faces(&session, &[faces[1].0], None).await.unwrap();
    assert_eq!(add(3).await, Insertion::Added);
    assert_eq!(add(3).await, Insertion::Full);
}

async fn a_session_takes_no_more_of_those_that_come_at_once<F: Fixture>() {
    let fixture = F::start().await;
    let session = created(fixture.store()).await;
    let adding = (0..20).map(|number| {
        let store = if number % 2 == 0 { fixture.store() } else { fixture.second() };
        let (store, session) = (store.clone(), session.clone());
        tokio::spawn(async move {
            store
                .sessions
                .add_face(&session, Uuid::new_v4(), bytes("x"), 12, &ClientBounds::NONE)
                .await
                .unwrap()
        })
    });
    let outcomes: Vec<_> = join_all(adding).await.into_iter().map(Result::unwrap).collect();
    let count = |wanted| outcomes.iter().filter(|&&outcome| outcome == wanted).count();
    assert_eq!((count(Insertion::Added), count(Insertion::Full)), (12, 8));
    assert_eq!(fixture.store().sessions.faces(&session).await.unwrap().unwrap().len(), 12);
}

async fn a_face_is_added_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let first = add(store, &session, "first").await;
    let second = add(store, &session, "second").await;
    // This also holds for a full session.
    for max_faces in [9, 2] {
        let again = store
            .sessions
            .add_face(&session, first, bytes("again"), max_faces, &ClientBounds::NONE)
            .await
            .unwrap();
        assert_eq!(again, Insertion::Added);
    }
    let expected = [(first, bytes("first")), (second, bytes("second"))];
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), expected);
}

async fn faces_that_are_deleted_are_counted_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let other = created(store).await;
    let faces = [add(store, &session, "1").await, add(store, &session, "2").await];
    let elsewhere = add(store, &other, "3").await;

    let delete = async |faces: &[Uuid]| store.sessions.delete_faces(&session, faces, None).await.unwrap();
    assert_eq!(delete(&[]).await, Some(0));
    assert_eq!(delete(&[Uuid::new_v4(), elsewhere]).await, Some(0));
    assert_eq!(delete(&[faces[0], faces[0], elsewhere]).await, Some(1));
    assert_eq!(delete(&faces).await, Some(1));
    assert_eq!(delete(&faces).await, Some(0));
    assert_eq!(store.sessions.faces(&session).await.unwrap(), Some(vec![]));
    assert_eq!(store.sessions.faces(&other).await.unwrap().unwrap().len(), 1);
}

async fn a_follow_up_is_written_where_a_face_was_deleted<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let face = add(store, &session, "1").await;
    let follow_up = || Some(row("clear up", Duration::ZERO));
    store.sessions.delete_faces(&session, &[Uuid::new_v4()], follow_up()).await.unwrap();
    store.sessions.delete_faces(&session, &[], follow_up()).await.unwrap();
    assert_eq!(store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap(), []);

    let row = follow_up();
    store.sessions.delete_faces(&session, &[Uuid::new_v4(), face], row.clone()).await.unwrap();
    let leased = store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!((leased[0].id, &leased[0].body[..]), (row.unwrap().id, &b"clear up"[..]));
}
