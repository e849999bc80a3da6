//! The suite of the outbox port, which both adapters pass.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::Stores;
use faceline_gateway_store::outbox::{Lane, LeasedRow, NewRow};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::fixture::{
    Fixture, GRAIN, HOUR, MINUTE, add, bytes, conformance, created, later, name, row, set_in_progress, until,
};

conformance!(
    a_row_is_written_with_its_change_or_not_at_all
    a_row_is_leased_when_it_is_due
    the_longest_due_are_leased_first
    a_lease_is_exclusive
    a_lease_that_ran_out_is_given_to_somebody_else
    a_lease_that_ran_out_counts_until_somebody_else_has_the_row
    a_row_that_is_replaced_is_leased_by_nobody
    a_row_is_put_back_for_a_while
    a_row_that_is_done_is_gone
    lanes_are_apart
    many_rows_are_finished_at_once
    a_row_of_its_own_survives_a_restart
    rows_are_listed_as_they_are
    a_row_moves_to_another_lane
    a_row_moves_once
    a_row_is_removed_whoever_has_it
);

/// Writes a row together with a new session.
async fn write(store: &Stores, row: NewRow) {
    store.sessions.create(&name(), bytes("x"), HOUR, row, &ClientBounds::NONE).await.unwrap();
}

/// Leases the next row that is due, and returns it with the time of the call.
async fn next(store: &Stores, lease: Duration) -> (Instant, LeasedRow) {
    until(async || store.outbox.lease(Lane::Sessions, 1, lease).await.unwrap().pop()).await
}

async fn a_row_is_written_with_its_change_or_not_at_all<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let depth = async || store.outbox.depth(Lane::Sessions).await.unwrap();
    assert_eq!(depth().await, 0);
    let (session, end) = (name(), later());
    store.sessions.create(&session, bytes("x"), HOUR, end.clone(), &ClientBounds::NONE).await.unwrap();
    assert_eq!(depth().await, 1);
    store.sessions.create(&session, bytes("x"), HOUR, later(), &ClientBounds::NONE).await.unwrap_err();
    assert_eq!(depth().await, 1);
    let face = add(store, &session, "x").await;
    store.sessions.delete_faces(&session, &[face], Some(later())).await.unwrap();
    assert_eq!(depth().await, 2);
    store.sessions.delete_faces(&session, &[face], Some(later())).await.unwrap();
    set_in_progress(store, &session, true).await;
    store.sessions.delete(&session, later()).await.unwrap();
    assert_eq!(depth().await, 2);
    set_in_progress(store, &session, false).await;
    // The row has the id of the first one, so it replaces it.
    store
        .sessions
        .delete(&session, NewRow { body: bytes("now"), due_in: Duration::ZERO, ..end })
        .await
        .unwrap();
    assert_eq!(depth().await, 2);
    store.sessions.delete(&session, later()).await.unwrap();
    assert_eq!(depth().await, 2);
    assert_eq!(store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap().len(), 1);
}

async fn a_row_is_leased_when_it_is_due<F: Fixture>() {
    const WAIT: Duration = Duration::from_millis(300);
    let fixture = F::start().await;
    let store = fixture.store();
    let row = row("a body \0\u{ff}", WAIT);
    let before = Instant::now();
    write(store, row.clone()).await;
    let after = Instant::now();
    // Time of the last call that returned no row.
    let mut asked_in_vain = before;
    let leased = loop {
        let asked = Instant::now();
        let mut rows = store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap();
        assert!(rows.len() <= 1);
        match rows.pop() {
            Some(leased) => break leased,
            None => asked_in_vain = asked,
        }
    };
    assert!(Instant::now() + GRAIN >= before + WAIT, "leased after {:?}", before.elapsed());
    assert!(asked_in_vain <= after + WAIT + GRAIN);
    assert_eq!((leased.id, leased.attempt, leased.body), (row.id, 1, row.body));
}

async fn the_longest_due_are_leased_first<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    // The earliest and the latest possible due time of each row.
    let mut due = HashMap::new();
    for milliseconds in [90, 30, 120, 60, 0] {
        let wait = Duration::from_millis(milliseconds);
        let row = row("x", wait);
        let (id, before) = (row.id, Instant::now());
        write(store, row).await;
        due.insert(id, (before + wait, Instant::now() + wait));
    }
    write(store, later()).await;
    assert_eq!(store.outbox.lease(Lane::Sessions, 0, MINUTE).await.unwrap(), []);
    // After this all rows are due, and none has been leased.
    sleep_until(due.values().map(|&(_, latest)| latest).max().unwrap() + GRAIN).await;
    let mut leased = Vec::new();
    for expected in [2, 2, 1, 0] {
        let rows = store.outbox.lease(Lane::Sessions, 2, MINUTE).await.unwrap();
        assert_eq!(rows.len(), expected);
        leased.extend(rows.into_iter().map(|row| due[&row.id]));
    }
    for (index, (earliest, _)) in leased.iter().enumerate() {
        for (_, latest) in &leased[index..] {
            assert!(*earliest <= *latest + GRAIN, "{:?} too early", *earliest - *latest);
        }
    }
}

async fn a_lease_is_exclusive<F: Fixture>() {
    const ROWS: usize = 60;
    let fixture = F::start().await;
    let mut written = HashSet::new();
    for _ in 0..ROWS {
        let row = row("x", Duration::ZERO);
        written.insert(row.id);
        write(fixture.store(), row).await;
    }
    let leasing = (0..8).map(|number| {
        let store = if number % 2 == 0 { fixture.store() } else { fixture.second() }.clone();
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let rows = store.outbox.lease(Lane::Sessions, 3, HOUR).await.unwrap();
                if rows.is_empty() {
                    break all;
                }
                assert!(rows.len() <= 3);
                all.extend(rows);
            }
        })
    });
    let leased: Vec<_> = join_all(leasing).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(leased.len(), ROWS);
    assert_eq!(leased.iter().map(|row| row.id).collect::<HashSet<_>>(), written);
    assert!(leased.iter().all(|row| row.attempt == 1));
}

async fn a_lease_that_ran_out_is_given_to_somebody_else<F: Fixture>() {
    const LEASE: Duration = Duration::from_millis(200);
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let written = row("x", Duration::ZERO);
    write(store, written.clone()).await;
    let before = Instant::now();
    let (_, former) = next(store, LEASE).await;
    let (_, latter) = next(second, MINUTE).await;
    assert!(Instant::now() + GRAIN >= before + LEASE, "again after {:?}", before.elapsed());
    assert_eq!((latter.id, latter.attempt, &latter.body), (written.id, 2, &written.body));
    assert_ne!(latter.lease, former.lease);

    assert!(!store.outbox.finish(&former).await.unwrap());
    assert!(!store.outbox.postpone(&former, Duration::ZERO, Some(bytes("y"))).await.unwrap());
    assert_eq!(
        store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap(),
        [],
        "it was put back all the same"
    );
    assert!(second.outbox.finish(&latter).await.unwrap());
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 0);
}

async fn a_lease_that_ran_out_counts_until_somebody_else_has_the_row<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    write(store, row("x", Duration::ZERO)).await;
    let (_, leased) = next(store, Duration::ZERO).await;
    assert!(store.outbox.finish(&leased).await.unwrap());
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 0);
}

async fn a_row_that_is_replaced_is_leased_by_nobody<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let (session, end) = (name(), row("first", Duration::ZERO));
    store.sessions.create(&session, bytes("x"), HOUR, end.clone(), &ClientBounds::NONE).await.unwrap();
    let (_, former) = next(store, HOUR).await;
    store.sessions.delete(&session, NewRow { body: bytes("second"), ..end.clone() }).await.unwrap();
    assert!(!store.outbox.finish(&former).await.unwrap());
    assert!(!store.outbox.postpone(&former, HOUR, None).await.unwrap());
    let (_, latter) = next(store, HOUR).await;
    assert_eq!((latter.id, latter.attempt, &latter.body[..]), (end.id, 1, &b"second"[..]));
    assert_ne!(latter.lease, former.lease);
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 1);
}

async fn a_row_is_put_back_for_a_while<F: Fixture>() {
    const WAIT: Duration = Duration::from_millis(200);
    let fixture = F::start().await;
    let store = fixture.store();
    let written = row("first", Duration::ZERO);
    write(store, written.clone()).await;
    let (_, mut leased) = next(store, HOUR).await;
    for (attempt, body) in [(2, None), (3, Some("second")), (4, None), (5, Some(""))] {
        let before = Instant::now();
        assert!(store.outbox.postpone(&leased, WAIT, body.map(bytes)).await.unwrap());
        assert!(!store.outbox.postpone(&leased, Duration::ZERO, None).await.unwrap());
        assert!(!store.outbox.finish(&leased).await.unwrap());
        assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 1);
        let expected = body.map_or(leased.body.clone(), bytes);
        (_, leased) = next(store, HOUR).await;
        assert!(Instant::now() + GRAIN >= before + WAIT, "due after {:?}", before.elapsed());
        assert_eq!((leased.id, leased.attempt, &leased.body), (written.id, attempt, &expected));
    }
}

async fn a_row_that_is_done_is_gone<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let session = created(store).await;
    write(store, row("x", Duration::ZERO)).await;
    let (_, leased) = next(store, Duration::ZERO).await;
    let unknown = LeasedRow { id: Uuid::new_v4(), ..leased.clone() };
    assert!(!store.outbox.finish(&unknown).await.unwrap());
    assert!(!store.outbox.postpone(&unknown, Duration::ZERO, None).await.unwrap());
    let stranger = LeasedRow { lease: Uuid::new_v4(), ..leased.clone() };
    assert!(!store.outbox.finish(&stranger).await.unwrap());

    assert!(store.outbox.finish(&leased).await.unwrap());
    assert!(!store.outbox.finish(&leased).await.unwrap());
    assert!(!store.outbox.postpone(&leased, Duration::ZERO, Some(bytes("y"))).await.unwrap());
    assert_eq!(store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap(), []);
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), 1);
    assert!(store.sessions.session(&session).await.unwrap().is_some());
}

async fn lanes_are_apart<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let depths = async || {
        [store.outbox.depth(Lane::Sessions).await.unwrap(), store.outbox.depth(Lane::Usage).await.unwrap()]
    };
    write(store, row("of a session", Duration::ZERO)).await;
    let own = row("first", Duration::ZERO);
    store.outbox.enqueue(Lane::Usage, own.clone()).await.unwrap();
    store.outbox.enqueue(Lane::Usage, later()).await.unwrap();
    assert_eq!(depths().await, [1, 2]);
    let (_, former) = until(async || store.outbox.lease(Lane::Usage, 9, MINUTE).await.unwrap().pop()).await;
    assert_eq!((former.lane, former.id, &former.body), (Lane::Usage, own.id, &own.body));
    assert_eq!(store.outbox.lease(Lane::Usage, 9, MINUTE).await.unwrap(), []);
    // A row that is written again has no lease, so its former lease does not apply.
    store.outbox.enqueue(Lane::Usage, NewRow { body: bytes("second"), ..own.clone() }).await.unwrap();
    assert!(!store.outbox.finish(&former).await.unwrap());
    let (_, latter) = until(async || store.outbox.lease(Lane::Usage, 9, MINUTE).await.unwrap().pop()).await;
    assert_eq!((latter.attempt, &latter.body[..]), (1, &b"second"[..]));
    assert!(!store.outbox.finish(&LeasedRow { lane: Lane::Sessions, ..latter.clone() }).await.unwrap());
    assert!(store.outbox.postpone(&latter, HOUR, None).await.unwrap());
    assert_eq!(depths().await, [1, 2]);
    let (_, of_session) = next(store, MINUTE).await;
    assert_eq!((of_session.lane, &of_session.body[..]), (Lane::Sessions, &b"of a session"[..]));
    assert!(store.outbox.finish(&of_session).await.unwrap());
    assert_eq!(depths().await, [0, 2]);
}

async fn many_rows_are_finished_at_once<F: Fixture>() {
    const ROWS: usize = 1000;
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    join_all((0..ROWS).map(|_| store.outbox.enqueue(Lane::Usage, row("x", Duration::ZERO)))).await;
    let all_due = async || {
        Some(store.outbox.lease(Lane::Usage, ROWS, MINUTE).await.unwrap()).filter(|rows| !rows.is_empty())
    };
    let mut rows = Vec::new();
    while rows.len() < ROWS {
        rows.extend(until(all_due).await.1);
    }
    assert_eq!(store.outbox.finish_all(Lane::Usage, &[]).await.unwrap(), 0);
    assert_eq!(second.outbox.finish_all(Lane::Usage, &rows[..ROWS / 4]).await.unwrap(), ROWS / 4);
    // Finished rows do not count again, and a row with another lease remains.
    rows[ROWS - 1].lease = Uuid::new_v4();
    assert_eq!(store.outbox.finish_all(Lane::Usage, &rows).await.unwrap(), ROWS - ROWS / 4 - 1);
    assert_eq!(store.outbox.finish_all(Lane::Usage, &rows).await.unwrap(), 0);
    assert_eq!(store.outbox.depth(Lane::Usage).await.unwrap(), 1);
}

async fn a_row_of_its_own_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let written = row("x", Duration::ZERO);
    fixture.store().outbox.enqueue(Lane::Usage, written.clone()).await.unwrap();
    fixture.restart().await;
    let store = fixture.store();
    let (_, leased) = until(async || store.outbox.lease(Lane::Usage, 9, MINUTE).await.unwrap().pop()).await;
    assert_eq!((leased.id, leased.body), (written.id, written.body));
}

async fn rows_are_listed_as_they_are<F: Fixture>() {
    const LANE: Lane = Lane::DeadCallbacks;
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    assert_eq!(store.outbox.list(LANE, 9).await.unwrap(), []);
    let rows = [
        row("due in an hour", HOUR),
        row("due", Duration::ZERO),
        row("due in a minute \0\u{ff}", MINUTE),
        row("", 2 * HOUR),
    ];
    for row in &rows {
        store.outbox.enqueue(LANE, row.clone()).await.unwrap();
    }
    store.outbox.enqueue(Lane::Callbacks, later()).await.unwrap();
    let listed = second.outbox.list(LANE, 9).await.unwrap();
    for (row, index) in listed.iter().zip([1, 2, 0, 3]) {
        let expected = &rows[index];
        assert_eq!((row.id, &row.body, row.attempts), (expected.id, &expected.body, 0));
        assert!(row.due_in <= expected.due_in && row.due_in + MINUTE >= expected.due_in, "{row:?}");
    }
    assert_eq!(listed.len(), 4);
    assert_eq!(store.outbox.list(LANE, 0).await.unwrap(), []);
    let first: Vec<_> = store.outbox.list(LANE, 2).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(first, [rows[1].id, rows[2].id]);

    // Listing leases no row, and includes leased rows.
    let (_, leased) = until(async || store.outbox.lease(LANE, 9, MINUTE / 2).await.unwrap().pop()).await;
    assert_eq!((leased.id, leased.attempt), (rows[1].id, 1));
    let listed = store.outbox.list(LANE, 9).await.unwrap();
    assert_eq!((listed[0].id, listed[0].attempts, listed.len()), (rows[1].id, 1, 4));
    assert!(listed[0].due_in > Duration::ZERO && listed[0].due_in <= MINUTE / 2, "{:?}", listed[0]);
    assert!(store.outbox.finish(&leased).await.unwrap());
    assert_eq!(store.outbox.list(LANE, 9).await.unwrap().len(), 3);
}

async fn a_row_moves_to_another_lane<F: Fixture>() {
    let fixture = F::start().await;
    let (store, second) = (fixture.store(), fixture.second());
    let (sent, dead) = (Lane::Callbacks, Lane::DeadCallbacks);
    let depths = async || [store.outbox.depth(sent).await.unwrap(), store.outbox.depth(dead).await.unwrap()];
    let written = row("a callback \0\u{ff}", Duration::ZERO);
    store.outbox.enqueue(sent, written.clone()).await.unwrap();
    store.outbox.enqueue(sent, later()).await.unwrap();
    let (_, leased) = until(async || store.outbox.lease(sent, 9, HOUR).await.unwrap().pop()).await;
    assert!(!store.outbox.transfer(Uuid::new_v4(), sent, dead, HOUR).await.unwrap());
    assert!(!store.outbox.transfer(written.id, dead, sent, HOUR).await.unwrap(), "it is in the other lane");
    assert_eq!(depths().await, [2, 0]);

    // The transfer keeps the body, and neither the lease nor the attempts.
    assert!(second.outbox.transfer(written.id, sent, dead, HOUR).await.unwrap());
    assert_eq!(depths().await, [1, 1]);
    assert!(!store.outbox.finish(&leased).await.unwrap());
    assert!(!store.outbox.postpone(&leased, Duration::ZERO, None).await.unwrap());
    assert!(!store.outbox.finish(&LeasedRow { lane: dead, ..leased }).await.unwrap());
    assert_eq!(store.outbox.lease(dead, 9, HOUR).await.unwrap(), []);
    let listed = store.outbox.list(dead, 9).await.unwrap();
    assert_eq!((listed[0].id, &listed[0].body, listed[0].attempts), (written.id, &written.body, 0));
    assert!(listed[0].due_in > HOUR - MINUTE && listed[0].due_in <= HOUR, "{listed:?}");

    // The row is transferred back, and replaces a row with its id.
    store.outbox.enqueue(sent, NewRow { body: bytes("another"), ..written.clone() }).await.unwrap();
    assert_eq!(depths().await, [2, 1]);
    assert!(store.outbox.transfer(written.id, dead, sent, Duration::ZERO).await.unwrap());
    assert_eq!(depths().await, [2, 0]);
    let (_, leased) = until(async || store.outbox.lease(sent, 9, HOUR).await.unwrap().pop()).await;
    assert_eq!((leased.id, leased.attempt, leased.body), (written.id, 1, written.body));
    // A transfer within the lane makes the row due again.
    assert!(store.outbox.transfer(written.id, sent, sent, Duration::ZERO).await.unwrap());
    let (_, leased) = until(async || store.outbox.lease(sent, 9, HOUR).await.unwrap().pop()).await;
    assert_eq!((leased.id, leased.attempt), (written.id, 1));
    assert_eq!(depths().await, [2, 0]);
}

async fn a_row_moves_once<F: Fixture>() {
    const ROUNDS: u64 = 100;
    let fixture = F::start().await;
    for _ in 0..ROUNDS {
        let written = later();
        fixture.store().outbox.enqueue(Lane::Callbacks, written.clone()).await.unwrap();
        let moving = [fixture.store(), fixture.second()].map(|store| {
            let store = store.clone();
            let moved = async move {
                store.outbox.transfer(written.id, Lane::Callbacks, Lane::DeadCallbacks, HOUR).await.unwrap()
            };
            tokio::spawn(moved)
        });
        let moved: Vec<_> = join_all(moving).await.into_iter().map(Result::unwrap).collect();
        assert!(moved[0] != moved[1], "{moved:?}");
    }
    assert_eq!(fixture.store().outbox.depth(Lane::Callbacks).await.unwrap(), 0);
    assert_eq!(fixture.store().outbox.depth(Lane::DeadCallbacks).await.unwrap(), ROUNDS);
}

async fn a_row_is_removed_whoever_has_it<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let (waiting, due) = (later(), row("x", Duration::ZERO));
    for row in [&waiting, &due] {
        store.outbox.enqueue(Lane::DeadCallbacks, row.clone()).await.unwrap();
    }
    let leased =
        until(async || store.outbox.lease(Lane::DeadCallbacks, 9, HOUR).await.unwrap().pop()).await.1;
    assert!(!store.outbox.remove(Lane::Callbacks, due.id).await.unwrap());
    assert!(!store.outbox.remove(Lane::DeadCallbacks, Uuid::new_v4()).await.unwrap());
    for id in [waiting.id, due.id] {
        assert!(fixture.second().outbox.remove(Lane::DeadCallbacks, id).await.unwrap());
        assert!(!store.outbox.remove(Lane::DeadCallbacks, id).await.unwrap());
    }
    assert!(!store.outbox.finish(&leased).await.unwrap());
    assert_eq!(store.outbox.depth(Lane::DeadCallbacks).await.unwrap(), 0);
}
