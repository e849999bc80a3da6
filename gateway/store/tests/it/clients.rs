//! The suite of the bounds on one client's data, which both adapters pass.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::idempotency::{Claim, ClaimRequest};
use faceline_gateway_store::sessions::{Deletion, Insertion, SessionName};
use faceline_gateway_store::{ClientBound, ClientBounds, ClientFull, ClientUsage, StoreError, Stores};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::fixture::{Fixture, HOUR, MINUTE, bytes, conformance, later, row, until};

conformance! {
    a_client_keeps_so_many_sessions_and_no_more
    a_client_keeps_so_many_faces_in_all_its_sessions
    a_client_keeps_so_many_bytes
    a_client_keeps_so_many_idempotency_records
    a_client_keeps_so_many_bytes_of_answers
    what_expires_counts_no_more
    what_a_client_may_keep_survives_a_restart
    of_those_that_come_at_once_no_more_are_taken
    counts_are_exact_whatever_happens
}

fn session_of(client: &str) -> SessionName {
    SessionName { client: client.into(), id: Uuid::new_v4() }
}

async fn create(
    store: &Stores,
    name: &SessionName,
    ttl: Duration,
    bounds: &ClientBounds,
) -> Result<(), StoreError> {
    store.sessions.create(name, bytes("12345678"), ttl, later(), bounds).await
}

async fn add(
    store: &Stores,
    name: &SessionName,
    face: Uuid,
    bounds: &ClientBounds,
) -> Result<Insertion, StoreError> {
    store.sessions.add_face(name, face, bytes("1234"), 1000, bounds).await
}

/// The bound that refused a change.
fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> ClientFull {
    match result {
        Err(StoreError::ClientFull(full)) => full,
        other => panic!("not refused: {other:?}"),
    }
}

async fn usage(store: &Stores, client: &str) -> ClientUsage {
    store.sessions.client_usage(client).await.unwrap()
}

fn claim_of(client: &str) -> ClaimRequest {
    let digest = || [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat().try_into().unwrap();
    ClaimRequest {
        client: client.into(),
        key: digest(),
        fingerprint: digest(),
        resource: Uuid::new_v4(),
        holder: Uuid::new_v4(),
        lease: MINUTE,
        retention: HOUR,
    }
}

async fn claim(
    store: &Stores,
    request: &ClaimRequest,
    bounds: &ClientBounds,
) -> Result<Claim<Bytes>, StoreError> {
    store.idempotency.claim(request, bounds).await
}

async fn a_client_keeps_so_many_sessions_and_no_more<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let bounds = ClientBounds { sessions: 3, ..ClientBounds::NONE };
    let kept: Vec<_> = (0..3).map(|_| session_of("bank")).collect();
    for (name, ttl) in kept.iter().zip([HOUR, MINUTE, HOUR]) {
        create(store, name, ttl, &bounds).await.unwrap();
    }
    let full = refused(create(second, &session_of("bank"), HOUR, &bounds).await);
    assert_eq!(full.bound, ClientBound::Sessions);
    assert!(full.first_expiry <= MINUTE && full.first_expiry > MINUTE / 2, "{full:?}");
    // A repetition does not create a further session.
    assert!(matches!(create(store, &kept[0], HOUR, &bounds).await, Err(StoreError::Exists)));
    // Other clients have bounds of their own, even one whose name begins with the same letters.
    for other in ["ban", "bank2", "shop"] {
        create(store, &session_of(other), HOUR, &bounds).await.unwrap();
        assert_eq!(usage(second, other).await.sessions, 1);
    }
    assert_eq!(
        usage(second, "bank").await,
        ClientUsage { sessions: 3, session_bytes: 24, ..ClientUsage::default() }
    );

    assert_eq!(store.sessions.delete(&kept[1], later()).await.unwrap(), Deletion::Deleted);
    assert_eq!(store.sessions.delete(&kept[1], later()).await.unwrap(), Deletion::NoSession);
    create(second, &session_of("bank"), HOUR, &bounds).await.unwrap();
    let full = refused(create(store, &session_of("bank"), HOUR, &bounds).await);
    assert!(full.first_expiry > HOUR - MINUTE, "{full:?}");
}

async fn a_client_keeps_so_many_faces_in_all_its_sessions<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let bounds = ClientBounds { faces: 4, ..ClientBounds::NONE };
    let sessions = [session_of("bank"), session_of("bank"), session_of("shop")];
    for name in &sessions {
        create(store, name, HOUR, &bounds).await.unwrap();
    }
    let faces: Vec<_> = (0..4).map(|_| Uuid::new_v4()).collect();
    for (index, face) in faces.iter().enumerate() {
        let added = add(store, &sessions[index % 2], *face, &bounds).await.unwrap();
        assert_eq!(added, Insertion::Added);
    }
    let full = refused(add(second, &sessions[0], Uuid::new_v4(), &bounds).await);
    assert_eq!(full.bound, ClientBound::Faces);
    assert!(full.first_expiry > HOUR - MINUTE && full.first_expiry <= HOUR, "{full:?}");
    assert_eq!(
        add(second, &sessions[0], faces[0], &bounds).await.unwrap(),
        Insertion::Added,
        "it is there already"
    );
    assert_eq!(add(second, &sessions[2], Uuid::new_v4(), &bounds).await.unwrap(), Insertion::Added);
    assert_eq!(usage(second, "bank").await.faces, 4);

    // Deleting a face twice frees its capacity only once.
    let delete =
        async |faces: &[Uuid]| second.sessions.delete_faces(&sessions[0], faces, None).await.unwrap();
    assert_eq!(delete(&[faces[0], faces[0]]).await, Some(1));
    assert_eq!(delete(&[faces[0]]).await, Some(0));
    assert_eq!(add(store, &sessions[1], Uuid::new_v4(), &bounds).await.unwrap(), Insertion::Added);
    assert_eq!(refused(add(store, &sessions[0], Uuid::new_v4(), &bounds).await).bound, ClientBound::Faces);
    // Deleting a session deletes its three faces, too.
    store.sessions.delete(&sessions[1], later()).await.unwrap();
    assert_eq!(
        usage(store, "bank").await,
        ClientUsage { sessions: 1, faces: 1, session_bytes: 12, ..ClientUsage::default() }
    );
}

async fn a_client_keeps_so_many_bytes<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    // Two sessions of eight bytes and two faces of four.
    let bounds = ClientBounds { session_bytes: 24, ..ClientBounds::NONE };
    let sessions = [session_of("bank"), session_of("bank")];
    for name in &sessions {
        create(store, name, HOUR, &bounds).await.unwrap();
    }
    let face = Uuid::new_v4();
    add(store, &sessions[0], face, &bounds).await.unwrap();
    assert_eq!(
        refused(create(store, &session_of("bank"), HOUR, &bounds).await).bound,
        ClientBound::SessionBytes
    );
    add(store, &sessions[1], Uuid::new_v4(), &bounds).await.unwrap();
    assert_eq!(usage(store, "bank").await.session_bytes, 24);
    assert_eq!(
        refused(add(store, &sessions[1], Uuid::new_v4(), &bounds).await).bound,
        ClientBound::SessionBytes
    );
    store.sessions.delete_faces(&sessions[0], &[face], Some(row("x", HOUR))).await.unwrap();
    assert_eq!(usage(store, "bank").await.session_bytes, 20);
    add(store, &sessions[1], Uuid::new_v4(), &bounds).await.unwrap();
}

async fn a_client_keeps_so_many_idempotency_records<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let bounds = ClientBounds { idempotency_records: 2, ..ClientBounds::NONE };
    let requests = [claim_of("bank"), claim_of("bank")];
    for request in &requests {
        assert!(matches!(claim(store, request, &bounds).await, Ok(Claim::Acquired { .. })));
    }
    let full = refused(claim(second, &claim_of("bank"), &bounds).await);
    assert_eq!(full.bound, ClientBound::IdempotencyRecords);
    assert!(full.first_expiry > HOUR - MINUTE && full.first_expiry <= HOUR, "{full:?}");
    assert!(matches!(claim(second, &claim_of("shop"), &bounds).await, Ok(Claim::Acquired { .. })));
    // Known keys do not need a further record.
    assert!(store.idempotency.complete(&requests[0], bytes("answer")).await.unwrap());
    assert_eq!(claim(second, &requests[0], &bounds).await.unwrap(), Claim::Completed(bytes("answer")));
    assert!(matches!(claim(second, &requests[1], &bounds).await, Ok(Claim::InProgress(_))));
    assert!(store.idempotency.release(&requests[1]).await.unwrap());
    assert!(matches!(claim(second, &requests[1], &bounds).await, Ok(Claim::Acquired { .. })));
    assert_eq!(usage(store, "bank").await.idempotency_records, 2);

    // A record with a retention of zero is deleted.
    let forgotten = ClaimRequest { retention: Duration::ZERO, ..requests[1].clone() };
    assert!(second.idempotency.release(&forgotten).await.unwrap());
    assert_eq!(usage(store, "bank").await.idempotency_records, 1);
    let next = claim_of("bank");
    assert_eq!(claim(store, &next, &bounds).await.unwrap(), Claim::Acquired { resource: next.resource });
    let anew = ClaimRequest { resource: Uuid::new_v4(), ..requests[1].clone() };
    let wide = ClientBounds::NONE;
    assert_eq!(claim(store, &anew, &wide).await.unwrap(), Claim::Acquired { resource: anew.resource });
}

async fn a_client_keeps_so_many_bytes_of_answers<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let bounds = ClientBounds { idempotency_bytes: 10, ..ClientBounds::NONE };
    let requests = [claim_of("bank"), claim_of("bank")];
    for request in &requests {
        claim(store, request, &bounds).await.unwrap();
    }
    // The second answer goes beyond the bound: its request was in progress.
    for request in &requests {
        assert!(store.idempotency.complete(request, bytes("a answer")).await.unwrap());
    }
    assert_eq!(usage(store, "bank").await.idempotency_bytes, 16);
    assert_eq!(refused(claim(store, &claim_of("bank"), &bounds).await).bound, ClientBound::IdempotencyBytes);
    claim(store, &claim_of("shop"), &bounds).await.unwrap();
}

async fn what_expires_counts_no_more<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let bounds = ClientBounds { sessions: 2, faces: 2, idempotency_records: 2, ..ClientBounds::NONE };
    let short = Duration::from_millis(300);
    let sessions = [session_of("bank"), session_of("bank")];
    create(store, &sessions[0], HOUR, &bounds).await.unwrap();
    create(store, &sessions[1], short, &bounds).await.unwrap();
    add(store, &sessions[0], Uuid::new_v4(), &bounds).await.unwrap();
    add(store, &sessions[1], Uuid::new_v4(), &bounds).await.unwrap();
    let requests = [claim_of("bank"), ClaimRequest { retention: short, ..claim_of("bank") }];
    for request in &requests {
        claim(store, request, &bounds).await.unwrap();
        store.idempotency.complete(request, bytes("answer")).await.unwrap();
    }
    let left = ClientUsage {
        sessions: 1,
        faces: 1,
        session_bytes: 12,
        idempotency_records: 1,
        idempotency_bytes: 6,
    };
    until(async || (usage(second, "bank").await == left).then_some(())).await;
    create(second, &session_of("bank"), HOUR, &bounds).await.unwrap();
    assert_eq!(add(second, &sessions[0], Uuid::new_v4(), &bounds).await.unwrap(), Insertion::Added);
    claim(second, &claim_of("bank"), &bounds).await.unwrap();
    assert_eq!(refused(create(store, &session_of("bank"), HOUR, &bounds).await).bound, ClientBound::Sessions);
    assert_eq!(refused(add(store, &sessions[0], Uuid::new_v4(), &bounds).await).bound, ClientBound::Faces);
    assert_eq!(
        refused(claim(store, &claim_of("bank"), &bounds).await).bound,
        ClientBound::IdempotencyRecords
    );
}

async fn what_a_client_may_keep_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let bounds = ClientBounds { sessions: 1, faces: 1, idempotency_records: 1, ..ClientBounds::NONE };
    let session = session_of("bank");
    create(fixture.store(), &session, HOUR, &bounds).await.unwrap();
    add(fixture.store(), &session, Uuid::new_v4(), &bounds).await.unwrap();
    claim(fixture.store(), &claim_of("bank"), &bounds).await.unwrap();
    let before = usage(fixture.store(), "bank").await;
    fixture.restart().await;
    let store = fixture.store();
    assert_eq!(usage(store, "bank").await, before);
    refused(create(store, &session_of("bank"), HOUR, &bounds).await);
    refused(add(store, &session, Uuid::new_v4(), &bounds).await);
    refused(claim(store, &claim_of("bank"), &bounds).await);
}

async fn of_those_that_come_at_once_no_more_are_taken<F: Fixture>() {
    let fixture = F::start().await;
    let bounds = ClientBounds { sessions: 12, idempotency_records: 7, ..ClientBounds::NONE };
    let creating = (0..40).map(|number| {
        let store = if number % 2 == 0 { fixture.store() } else { fixture.second() }.clone();
        tokio::spawn(async move {
            let created = create(&store, &session_of("bank"), HOUR, &bounds).await.is_ok();
            (created, claim(&store, &claim_of("bank"), &bounds).await.is_ok())
        })
    });
    let outcomes: Vec<_> = join_all(creating).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|(created, _)| *created).count(), 12);
    assert_eq!(outcomes.iter().filter(|(_, claimed)| *claimed).count(), 7);
    let kept = usage(fixture.store(), "bank").await;
    assert_eq!((kept.sessions, kept.idempotency_records), (12, 7));
}

/// Makes changes at random, and compares what the store counts with a model.
async fn counts_are_exact_whatever_happens<F: Fixture>() {
    let fixture = F::start().await;
    let bounds = ClientBounds { sessions: 6, faces: 15, session_bytes: 300, ..ClientBounds::NONE };
    let mut model: BTreeMap<Uuid, (SessionName, BTreeMap<Uuid, usize>)> = BTreeMap::new();
    // A linear congruential generator (Knuth's MMIX): the test is the same each time.
    let mut state = 17_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let totals = |model: &BTreeMap<Uuid, (SessionName, BTreeMap<Uuid, usize>)>| {
        let faces: usize = model.values().map(|(_, faces)| faces.len()).sum();
        let bytes: usize = model.values().map(|(_, faces)| 8 + faces.values().sum::<usize>()).sum();
        (model.len(), faces, bytes)
    };
    for step in 0..400 {
        let store = if step % 2 == 0 { fixture.store() } else { fixture.second() };
        let (sessions, faces, bytes) = totals(&model);
        let chosen = (sessions > 0).then(|| *model.keys().nth(random(sessions)).unwrap());
        match (random(10), chosen) {
            (0..=2, _) | (_, None) => {
                let name = session_of("bank");
                let fits = sessions < 6 && bytes + 8 <= 300;
                assert_eq!(create(store, &name, HOUR, &bounds).await.is_ok(), fits, "step {step}");
                if fits {
                    model.insert(name.id, (name, BTreeMap::new()));
                }
            }
            (3, Some(id)) => {
                let (name, _) = model.remove(&id).unwrap();
                assert_eq!(store.sessions.delete(&name, later()).await.unwrap(), Deletion::Deleted);
            }
            (4..=7, Some(id)) => {
                let (face, length) = (Uuid::new_v4(), random(40));
                let (name, kept) = model.get_mut(&id).unwrap();
                let body = Bytes::from(vec![7; length]);
                let added = store.sessions.add_face(name, face, body, 1000, &bounds).await;
                let fits = faces < 15 && bytes + length <= 300;
                assert_eq!(added.is_ok(), fits, "step {step}: {added:?}");
                if fits {
                    kept.insert(face, length);
                }
            }
            (_, Some(id)) => {
                let (name, kept) = model.get_mut(&id).unwrap();
                let mut gone: Vec<Uuid> = kept.keys().copied().take(random(3)).collect();
                gone.push(Uuid::new_v4());
                let expected = gone.iter().filter(|face| kept.remove(face).is_some()).count();
                let deleted = store.sessions.delete_faces(name, &gone, None).await.unwrap();
                assert_eq!(deleted, Some(expected));
            }
        }
        let (sessions, faces, bytes) = totals(&model);
        let counted = usage(fixture.second(), "bank").await;
        let expected = ClientUsage {
            sessions: sessions as u64,
            faces: faces as u64,
            session_bytes: bytes as u64,
            ..ClientUsage::default()
        };
        assert_eq!(counted, expected, "step {step}");
    }
}
