//! The replay of a session: compare-and-set, times by the store's clock, and rows that are written with a change.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::outbox::{Lane, NewRow};
use faceline_gateway_store::sessions::{
    Deletion, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, StoredReplay,
};
use faceline_gateway_store::{ClientBound, ClientBounds, StoreError, Stores};
use futures_util::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{
    Fixture, GRAIN, HOUR, MINUTE, add, assert_nowhere, bytes, conformance, created, later, name, replay, row,
    until,
};

conformance!(
    a_replay_comes_back_as_it_was_changed
    a_change_of_another_revision_changes_nothing
    of_the_changes_that_meet_one_is_made
    rows_are_written_with_their_change_in_their_own_lanes
    the_time_for_the_upload_is_the_stores
    a_lease_ends_by_the_stores_clock_or_with_a_change
    a_replay_goes_with_its_session
    a_replay_survives_a_restart
    the_bytes_of_a_replay_count
    a_replay_in_progress_ends_beyond_the_bound
    a_replay_is_no_face
);

async fn found(store: &Stores, session: &SessionName) -> StoredReplay {
    match store.sessions.replay(session).await.unwrap() {
        ReplayLookup::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn change(store: &Stores, session: &SessionName, change: ReplayChange) -> ReplayOutcome {
    store.sessions.change_replay(session, change, &ClientBounds::NONE).await.unwrap()
}

/// Number of rows in each lane.
async fn depths(store: &Stores) -> [u64; Lane::ALL.len()] {
    let depths = join_all(Lane::ALL.map(|lane| store.outbox.depth(lane))).await;
    depths.into_iter().map(Result::unwrap).collect::<Vec<_>>().try_into().unwrap()
}

async fn a_replay_comes_back_as_it_was_changed<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let (session, other) = (created(store).await, created(store).await);
    assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    let mut revision = 0;
    for body in [&b"a record"[..], b"", b"\0\xff\r\n", &[7; 100_000], b"short again"] {
        for in_progress in [false, true, true, false] {
            let body = Bytes::copy_from_slice(body);
            let made =
                change(store, &session, ReplayChange { body: body.clone(), in_progress, ..replay(revision) });
            revision += 1;
            assert_eq!(made.await, ReplayOutcome::Changed { revision });
            let found = found(second, &session).await;
            assert_eq!(
                found,
                StoredReplay { revision, body, upload_left: Duration::ZERO, lease_left: Duration::ZERO }
            );
        }
    }
    // Neither the session nor another session has changed.
    let kept = store.sessions.session(&session).await.unwrap().unwrap();
    assert_eq!(kept.body, "a session");
    assert!(kept.left > HOUR - MINUTE && kept.left <= HOUR);
    assert_eq!(store.sessions.replay(&other).await.unwrap(), ReplayLookup::NoReplay);
    let stranger = SessionName { client: "other".into(), id: session.id };
    assert_eq!(store.sessions.replay(&stranger).await.unwrap(), ReplayLookup::NoSession);
    assert_eq!(change(store, &stranger, replay(revision)).await, ReplayOutcome::NoSession);
}

async fn a_change_of_another_revision_changes_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let with_row = |expected| ReplayChange {
        body: bytes("other"),
        in_progress: true,
        upload_within: Some(MINUTE),
        lease: MINUTE,
        rows: vec![(Lane::Replays, later())],
        ..replay(expected)
    };
    for expected in [1, 2, u64::from(u32::MAX)] {
        assert_eq!(change(store, &session, with_row(expected)).await, ReplayOutcome::OtherRevision);
        assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    }
    for revision in 1..4 {
        let made = ReplayChange { upload_within: Some(HOUR), ..replay(revision - 1) };
        assert_eq!(change(store, &session, made).await, ReplayOutcome::Changed { revision });
        for expected in (0..revision).chain([revision + 1]) {
            assert_eq!(change(store, &session, with_row(expected)).await, ReplayOutcome::OtherRevision);
        }
        let found = found(store, &session).await;
        assert_eq!(
            (found.revision, &found.body[..], found.lease_left),
            (revision, &b"a replay"[..], Duration::ZERO)
        );
        assert!(found.upload_left > HOUR - MINUTE);
    }
    assert_eq!(store.outbox.depth(Lane::Replays).await.unwrap(), 0);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
}

async fn of_the_changes_that_meet_one_is_made<F: Fixture>() {
    const ROUNDS: u64 = 200;
    const AT_ONCE: u64 = 4;
    let fixture = F::start().await;
    let session = created(fixture.store()).await;
    for round in 0..ROUNDS {
        let changing = (0..AT_ONCE).map(|number| {
            let store = if number % 2 == 0 { fixture.store() } else { fixture.second() }.clone();
            let session = session.clone();
            tokio::spawn(async move {
                let text = format!("{round} {number}");
                let made = ReplayChange {
                    body: bytes(&text),
                    rows: vec![(Lane::Callbacks, row(&text, Duration::ZERO))],
                    ..replay(round)
                };
                (text, self::change(&store, &session, made).await)
            })
        });
        let outcomes: Vec<_> = join_all(changing).await.into_iter().map(Result::unwrap).collect();
        let (made, refused): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|(_, outcome)| *outcome == ReplayOutcome::Changed { revision: round + 1 });
        assert_eq!(made.len(), 1, "{made:?} {refused:?}");
        assert!(refused.iter().all(|(_, outcome)| *outcome == ReplayOutcome::OtherRevision), "{refused:?}");
        assert_eq!(found(fixture.store(), &session).await.body, made[0].0);
        let rows = fixture.store().outbox.lease(Lane::Callbacks, 9, HOUR).await.unwrap();
        assert_eq!(rows.iter().map(|row| &row.body[..]).collect::<Vec<_>>(), [made[0].0.as_bytes()]);
    }
    assert_eq!(fixture.store().outbox.depth(Lane::Callbacks).await.unwrap(), ROUNDS);
}

async fn rows_are_written_with_their_change_in_their_own_lanes<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    assert_eq!(depths(store).await, [1, 0, 0, 0, 0]);
    let timeout = row("ends the replay", HOUR);
    let rows = vec![
        (Lane::Callbacks, row("a callback", Duration::ZERO)),
        (Lane::Replays, timeout.clone()),
        (Lane::Replays, row("a job", Duration::ZERO)),
        (Lane::DeadCallbacks, later()),
        (Lane::Sessions, row("of the session", Duration::ZERO)),
        (Lane::Usage, later()),
    ];
    change(store, &session, ReplayChange { rows: rows.clone(), ..replay(0) }).await;
    assert_eq!(depths(store).await, [2, 1, 2, 1, 1]);
    for (lane, expected) in
        [(Lane::Callbacks, "a callback"), (Lane::Replays, "a job"), (Lane::Sessions, "of the session")]
    {
        let (_, leased) = until(async || store.outbox.lease(lane, 9, MINUTE).await.unwrap().pop()).await;
        assert_eq!((leased.lane, &leased.body[..], leased.attempt), (lane, expected.as_bytes(), 1));
        assert_eq!(store.outbox.lease(lane, 9, MINUTE).await.unwrap(), []);
    }
    // The same changes again have an outdated revision, and write nothing.
    assert_eq!(
        change(store, &session, ReplayChange { rows, ..replay(0) }).await,
        ReplayOutcome::OtherRevision
    );
    assert_eq!(depths(store).await, [2, 1, 2, 1, 1]);
    // A row replaces the one with the same id in its lane.
    let now = NewRow { body: bytes("now"), due_in: Duration::ZERO, ..timeout };
    change(store, &session, ReplayChange { rows: vec![(Lane::Replays, now.clone())], ..replay(1) }).await;
    assert_eq!(depths(store).await, [2, 1, 2, 1, 1]);
    let (_, leased) = until(async || store.outbox.lease(Lane::Replays, 9, MINUTE).await.unwrap().pop()).await;
    assert_eq!((leased.id, leased.body), (now.id, now.body));
}

async fn the_time_for_the_upload_is_the_stores<F: Fixture>() {
    const LIMIT: Duration = Duration::from_millis(400);
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let session = created(store).await;
    let before = Instant::now();
    change(store, &session, ReplayChange { upload_within: Some(LIMIT), ..replay(0) }).await;
    let after = Instant::now();
    // A change that sets no time for the upload keeps the present one.
    change(store, &session, ReplayChange { lease: HOUR, ..replay(1) }).await;
    loop {
        let asked = Instant::now();
        let left = found(second, &session).await.upload_left;
        assert!(asked + left <= after + LIMIT + GRAIN, "{left:?} left");
        if left.is_zero() {
            break assert!(Instant::now() + GRAIN >= before + LIMIT, "over after {:?}", before.elapsed());
        }
        assert!(Instant::now() + left + GRAIN >= before + LIMIT, "{left:?} left");
    }
    change(store, &session, ReplayChange { upload_within: Some(HOUR), ..replay(2) }).await;
    assert!(found(second, &session).await.upload_left > HOUR - MINUTE);
    change(store, &session, ReplayChange { upload_within: Some(Duration::ZERO), ..replay(3) }).await;
    assert_eq!(found(second, &session).await.upload_left, Duration::ZERO);
}

async fn a_lease_ends_by_the_stores_clock_or_with_a_change<F: Fixture>() {
    const LEASE: Duration = Duration::from_millis(300);
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let session = created(store).await;
    let before = Instant::now();
    change(store, &session, ReplayChange { lease: LEASE, ..replay(0) }).await;
    let after = Instant::now();
    loop {
        let asked = Instant::now();
        let left = found(second, &session).await.lease_left;
        assert!(asked + left <= after + LEASE + GRAIN, "{left:?} left");
        if left.is_zero() {
            break assert!(Instant::now() + GRAIN >= before + LEASE, "over after {:?}", before.elapsed());
        }
    }
    // The lease is renewed, and then ended.
    change(second, &session, ReplayChange { lease: HOUR, ..replay(1) }).await;
    assert!(found(store, &session).await.lease_left > HOUR - MINUTE);
    change(second, &session, replay(2)).await;
    assert_eq!(found(store, &session).await.lease_left, Duration::ZERO);
}

async fn a_replay_goes_with_its_session<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let create = async |session: &SessionName, ttl| {
        store.sessions.create(session, bytes("x"), ttl, later(), &ClientBounds::NONE).await
    };
    let session = name();
    create(&session, Duration::from_millis(150)).await.unwrap();
    change(store, &session, ReplayChange { in_progress: true, upload_within: Some(HOUR), ..replay(0) }).await;
    // A replay in progress does not prolong a session.
    until(async || {
        matches!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoSession).then_some(())
    })
    .await;
    assert_nowhere(store, &session).await;
    create(&session, HOUR).await.unwrap();
    assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);

    assert_eq!(change(store, &session, replay(0)).await, ReplayOutcome::Changed { revision: 1 });
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
    assert_nowhere(store, &session).await;
    create(&session, HOUR).await.unwrap();
    assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    assert_eq!(change(store, &session, replay(0)).await, ReplayOutcome::Changed { revision: 1 });
}

async fn a_replay_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let session = created(fixture.store()).await;
    let made = ReplayChange {
        in_progress: true,
        upload_within: Some(HOUR),
        lease: 2 * HOUR,
        rows: vec![(Lane::Replays, row("a job", Duration::ZERO)), (Lane::Callbacks, later())],
        ..replay(0)
    };
    change(fixture.store(), &session, made).await;
    fixture.restart().await;
    let store = fixture.store();
    let found = found(store, &session).await;
    assert_eq!((found.revision, &found.body[..]), (1, &b"a replay"[..]));
    assert!(found.upload_left > HOUR - MINUTE && found.upload_left <= HOUR, "{found:?}");
    assert!(found.lease_left > 2 * HOUR - MINUTE && found.lease_left <= 2 * HOUR, "{found:?}");
    assert_eq!(depths(store).await, [1, 0, 1, 1, 0]);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
    assert_eq!(change(store, &session, replay(1)).await, ReplayOutcome::Changed { revision: 2 });
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
}

/// The totals of the sessions' client: sessions, faces, bytes.
async fn kept(store: &Stores) -> (u64, u64, u64) {
    let usage = store.sessions.client_usage("client").await.unwrap();
    (usage.sessions, usage.faces, usage.session_bytes)
}

async fn the_bytes_of_a_replay_count<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    // The records have nine bytes each.
    let (session, other) = (created(store).await, created(store).await);
    let bounds = ClientBounds { session_bytes: 30, ..ClientBounds::NONE };
    let of = |length, expected| ReplayChange { body: bytes(&"x".repeat(length)), ..replay(expected) };
    let changed = async |change| store.sessions.change_replay(&session, change, &bounds).await;
    let refused = |result| match result {
        Err(StoreError::ClientFull(full)) => {
            assert_eq!(full.bound, ClientBound::SessionBytes);
            assert!(full.first_expiry > HOUR - MINUTE && full.first_expiry <= HOUR, "{full:?}");
        }
        other => panic!("{other:?}"),
    };
    refused(changed(ReplayChange { rows: vec![(Lane::Replays, later())], ..of(13, 0) }).await);
    assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    assert_eq!(store.outbox.depth(Lane::Replays).await.unwrap(), 0);
    changed(of(10, 0)).await.unwrap();
    assert_eq!(kept(store).await, (2, 0, 28));
    // Only the bytes that a change adds count.
    changed(of(12, 1)).await.unwrap();
    assert_eq!(kept(store).await, (2, 0, 30));
    refused(changed(of(13, 2)).await);
    changed(of(12, 2)).await.unwrap();
    let added = store.sessions.add_face(&other, Uuid::new_v4(), bytes("x"), 9, &bounds).await;
    assert!(matches!(added, Err(StoreError::ClientFull(_))), "{added:?}");
    changed(of(2, 3)).await.unwrap();
    assert_eq!(kept(store).await, (2, 0, 20));
    add(store, &other, "a face").await;
    assert_eq!(kept(store).await, (2, 1, 26));
    store.sessions.delete(&session, later()).await.unwrap();
    assert_eq!(kept(store).await, (1, 1, 15));
}

async fn a_replay_in_progress_ends_beyond_the_bound<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    let bounds = ClientBounds { session_bytes: 17, ..ClientBounds::NONE };
    let changed = async |change| store.sessions.change_replay(&session, change, &bounds).await;
    changed(ReplayChange { in_progress: true, ..replay(0) }).await.unwrap();
    changed(ReplayChange { in_progress: true, body: bytes("in progress"), ..replay(1) }).await.unwrap();
    changed(ReplayChange { body: bytes("it has ended"), ..replay(2) }).await.unwrap();
    assert_eq!(kept(store).await, (1, 0, 21));
    // From now on the bound applies again to changes that add bytes.
    let next = changed(ReplayChange { body: bytes("a further one"), ..replay(3) }).await;
    assert!(matches!(next, Err(StoreError::ClientFull(_))), "{next:?}");
    assert_eq!(changed(replay(3)).await.unwrap(), ReplayOutcome::Changed { revision: 4 });
    assert_eq!(kept(store).await, (1, 0, 17));
}

async fn a_replay_is_no_face<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for had_replay in [false, true] {
        let session = created(store).await;
        if had_replay {
            change(store, &session, ReplayChange { upload_within: Some(HOUR), lease: HOUR, ..replay(0) })
                .await;
        }
        let add = async || {
            store
                .sessions
                .add_face(&session, Uuid::new_v4(), bytes("a face"), 2, &ClientBounds::NONE)
                .await
                .unwrap()
        };
        assert_eq!(
            [add().await, add().await, add().await],
            [Insertion::Added, Insertion::Added, Insertion::Full]
        );
        change(store, &session, replay(u64::from(had_replay))).await;
        assert_eq!(add().await, Insertion::Full);
        assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap().len(), 2);
    }
}
