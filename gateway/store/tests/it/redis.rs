//! Tests of the store in Redis only.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, FromRedisValue, cmd};
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::redis::RedisStore;
use faceline_gateway_store::sessions::{Deletion, Insertion, ReplayChange, ReplayLookup, ReplayOutcome};
use faceline_gateway_store::{ClientBounds, ClientUsage, StoreError, Stores};
use faceline_shared::settings::{ClientTls, InvalidUrl, StoreSettings, StoreUrl};
use faceline_shared::testkit::{CutProxy, Redis};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{
    HOUR, MINUTE, add, bytes, created, later, name, replay, row, set_in_progress, settings, until,
};
use crate::soon;

/// A separate connection to the server, beside the store's.
struct Raw(MultiplexedConnection);

impl Raw {
    async fn connect(server: &Redis) -> Self {
        let client = Client::open(server.url()).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.0.clone()).await.unwrap()
    }

    async fn keys(&self, pattern: &str) -> Vec<String> {
        self.ask(&format!("KEYS faceline:{{store}}:{pattern}")).await
    }
}

fn open(url: &str) -> Stores {
    Stores::of(RedisStore::new(url, &ClientTls::default()).unwrap())
}

#[tokio::test]
async fn nothing_of_a_session_stays_in_the_server() {
    let server = Redis::start().await;
    let (store, raw) = (open(&server.url()), Raw::connect(&server).await);
    let deleted = created(&store).await;
    add(&store, &deleted, "a face").await;
    let ended = name();
    store
        .sessions
        .create(&ended, bytes("x"), Duration::from_millis(200), later(), &ClientBounds::NONE)
        .await
        .unwrap();
    add(&store, &ended, "a face").await;
    assert_eq!(raw.keys("session:*").await.len(), 2);
    store.sessions.delete(&deleted, later()).await.unwrap();
    until(async || raw.keys("session:*").await.is_empty().then_some(())).await;

    // The outbox remains, and so do the answers for a while.
    let answers = raw.keys("answer:*").await;
    assert_eq!(answers.len(), 5);
    for answer in &answers {
        let left: i64 = raw.ask(&format!("PTTL {answer}")).await;
        assert!((1..=30_000).contains(&left), "{left}");
    }
    // The client's ledger expired with its last session.
    until(async || raw.keys("client:*").await.is_empty().then_some(())).await;
    assert_eq!(raw.keys("*").await.len(), answers.len() + raw.keys("outbox:*").await.len());

    store.sessions.delete(&created(&store).await, row("x", Duration::ZERO)).await.unwrap();
    for row in store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap() {
        assert!(store.outbox.finish(&row).await.unwrap());
    }
    assert_eq!(raw.ask::<u64>("HLEN faceline:{store}:outbox:lease").await, 0);
    assert_eq!(raw.ask::<u64>("HLEN faceline:{store}:outbox:attempt").await, 0);
    let depth = store.outbox.depth(Lane::Sessions).await.unwrap();
    assert_eq!(raw.ask::<u64>("HLEN faceline:{store}:outbox:body").await, depth);
}

/// Makes each kind of change once, and leaves only rows that are not due during a test. Afterwards the server knows all
/// scripts.
async fn every_change(store: &Stores) {
    let session = created(store).await;
    let face = add(store, &session, "a face").await;
    let follow_up = row("x", Duration::ZERO);
    assert_eq!(store.sessions.delete_faces(&session, &[face], Some(follow_up)).await.unwrap(), Some(1));
    let leased = store.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap();
    assert!(store.outbox.postpone(&leased[0], Duration::ZERO, None).await.unwrap());
    let leased = store.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap();
    assert!(store.outbox.finish(&leased[0]).await.unwrap());
    let change =
        ReplayChange { rows: vec![(Lane::Callbacks, later()), (Lane::Replays, later())], ..replay(0) };
    store.sessions.change_replay(&session, change, &ClientBounds::NONE).await.unwrap();
    let [callback] = &store.outbox.list(Lane::Callbacks, 1).await.unwrap()[..] else { panic!("no row") };
    assert!(store.outbox.transfer(callback.id, Lane::Callbacks, Lane::DeadCallbacks, HOUR).await.unwrap());
    assert!(store.outbox.remove(Lane::DeadCallbacks, callback.id).await.unwrap());
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
}

/// A store behind a proxy that loses the answer to one operation.
struct Lossy {
    server: Redis,
    proxy: CutProxy,
    raw: Raw,
    /// The store that is connected through the proxy.
    store: Stores,
    /// The store that is connected directly.
    direct: Stores,
}

impl Lossy {
    async fn start() -> Self {
        let server = Redis::start().await;
        let proxy = CutProxy::start(server.address()).await;
        let raw = Raw::connect(&server).await;
        let (store, direct) = (open(&server.url_at(proxy.address())), open(&server.url()));
        every_change(&direct).await;
        Self { server, proxy, raw, store, direct }
    }

    /// Runs an operation, and cuts the connection before its answer arrives.
    async fn losing_the_answer<T>(&self, operation: impl Future<Output = T>) -> T {
        // Opens the connection that will be cut.
        self.store.outbox.depth(Lane::Sessions).await.unwrap();
        let before: HashSet<_> = self.raw.keys("answer:*").await.into_iter().collect();
        let since = async || {
            let answers = self.raw.keys("answer:*").await;
            answers.into_iter().filter(|answer| !before.contains(answer)).count()
        };
        self.proxy.mute();
        let cut = async {
            until(async || (since().await > 0).then_some(())).await;
            self.proxy.cut();
            self.proxy.pass();
        };
        let (answer, ()) = tokio::join!(operation, cut);
        assert_eq!(since().await, 1, "it was done twice");
        answer
    }
}

#[tokio::test]
async fn an_operation_whose_answer_was_lost_happens_once_and_is_answered() {
    let lossy = Lossy::start().await;
    let (store, direct) = (&lossy.store, &lossy.direct);
    let depth = direct.outbox.depth(Lane::Sessions).await.unwrap();
    let session = name();
    let end = row("first", Duration::ZERO);

    let creating = store.sessions.create(&session, bytes("x"), HOUR, end.clone(), &ClientBounds::NONE);
    lossy.losing_the_answer(creating).await.unwrap();

    let face = Uuid::new_v4();
    let adding = store.sessions.add_face(&session, face, bytes("x"), 1, &ClientBounds::NONE);
    assert_eq!(lossy.losing_the_answer(adding).await.unwrap(), Insertion::Added);
    assert_eq!(direct.sessions.faces(&session).await.unwrap().unwrap().len(), 1);
    assert_eq!(direct.sessions.client_usage("client").await.unwrap().faces, 1);

    let faces = [face];
    let deleting = store.sessions.delete_faces(&session, &faces, None);
    assert_eq!(lossy.losing_the_answer(deleting).await.unwrap(), Some(1));

    let change = ReplayChange { in_progress: true, ..replay(0) };
    let changing = store.sessions.change_replay(&session, change, &ClientBounds::NONE);
    assert_eq!(
        lossy.losing_the_answer(changing).await.unwrap(),
        ReplayOutcome::Changed { revision: 1 },
        "the repetition met its own change"
    );
    assert_eq!(direct.sessions.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
    set_in_progress(direct, &session, false).await;

    let dead = later();
    direct.outbox.enqueue(Lane::Callbacks, dead.clone()).await.unwrap();
    let transferring = store.outbox.transfer(dead.id, Lane::Callbacks, Lane::DeadCallbacks, HOUR);
    assert!(lossy.losing_the_answer(transferring).await.unwrap());
    assert!(lossy.losing_the_answer(store.outbox.remove(Lane::DeadCallbacks, dead.id)).await.unwrap());
    for lane in [Lane::Callbacks, Lane::DeadCallbacks] {
        assert_eq!(direct.outbox.depth(lane).await.unwrap(), 0);
    }

    let leased = lossy.losing_the_answer(store.outbox.lease(Lane::Sessions, 9, HOUR)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id, leased[0].attempt), (1, end.id, 1));
    let postponing = store.outbox.postpone(&leased[0], Duration::ZERO, None);
    assert!(lossy.losing_the_answer(postponing).await.unwrap());
    let leased = direct.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap();
    assert!(lossy.losing_the_answer(store.outbox.finish(&leased[0])).await.unwrap());
    assert_eq!(direct.outbox.depth(Lane::Sessions).await.unwrap(), depth);

    let kept = async || direct.sessions.client_usage("client").await.unwrap();
    assert_eq!((kept().await.sessions, kept().await.faces), (1, 0));
    let deleting = store.sessions.delete(&session, later());
    assert_eq!(lossy.losing_the_answer(deleting).await.unwrap(), Deletion::Deleted);
    assert_eq!(direct.outbox.depth(Lane::Sessions).await.unwrap(), depth + 1);
    assert_eq!(kept().await, ClientUsage::default());
}

#[tokio::test]
async fn a_stopped_store_is_unreachable_until_it_is_started_again() {
    let mut server = Redis::start_persistent().await;
    let store = open(&server.url());
    let session = created(&store).await;
    let leased = {
        store.sessions.delete(&created(&store).await, row("x", Duration::ZERO)).await.unwrap();
        store.outbox.lease(Lane::Sessions, 1, HOUR).await.unwrap().remove(0)
    };
    server.kill9().await;
    let face = Uuid::new_v4();
    let errors = [
        store.sessions.create(&name(), bytes("x"), HOUR, later(), &ClientBounds::NONE).await.err(),
        store.sessions.session(&session).await.err(),
        store.sessions.delete(&session, later()).await.err(),
        store.sessions.replay(&session).await.err(),
        store.sessions.change_replay(&session, replay(0), &ClientBounds::NONE).await.err(),
        store.sessions.add_face(&session, face, bytes("x"), 9, &ClientBounds::NONE).await.err(),
        store.sessions.face(&session, face).await.err(),
        store.sessions.faces(&session).await.err(),
        store.sessions.delete_faces(&session, &[face], None).await.err(),
        store.outbox.lease(Lane::Sessions, 9, HOUR).await.err(),
        store.outbox.finish(&leased).await.err(),
        store.outbox.postpone(&leased, HOUR, None).await.err(),
        store.outbox.list(Lane::Sessions, 9).await.err(),
        store.outbox.transfer(leased.id, Lane::Sessions, Lane::Usage, HOUR).await.err(),
        store.outbox.remove(Lane::Sessions, leased.id).await.err(),
        store.outbox.depth(Lane::Sessions).await.err(),
        store.health.check().await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(StoreError::Unreachable(_))), "{error:?}");
    }
    // A restarted server has also forgotten the scripts.
    server.restart().await;
    assert!(store.outbox.finish(&leased).await.unwrap());
    server.restart().await;
    // The connection is lost once more, and the operation succeeds nevertheless.
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
}

#[tokio::test]
async fn a_silent_store_is_unreachable_within_its_time() {
    let lossy = Lossy::start().await;
    let session = created(&lossy.store).await;
    lossy.proxy.stall();
    let asked = Instant::now();
    let deleted = lossy.store.sessions.delete(&session, later()).await;
    assert!(matches!(deleted, Err(StoreError::Unreachable(_))), "{deleted:?}");
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    lossy.proxy.cut();
    lossy.proxy.pass();
    // The delayed bytes may or may not have reached the server, but it answers again.
    lossy.store.sessions.session(&session).await.unwrap();
    lossy.store.health.check().await.unwrap();
    drop(lossy.server);
}

#[tokio::test]
async fn a_server_that_evicts_sessions_is_not_fit() {
    let server = Redis::start_with(&["--maxmemory-policy", "volatile-ttl"]).await;
    let error = open(&server.url()).health.check().await.unwrap_err();
    assert!(matches!(&error, StoreError::Evicts(policy) if policy == "volatile-ttl"), "{error}");
}

#[tokio::test]
async fn a_full_server_takes_nothing_new_and_lets_go_of_what_it_has() {
    let server = Redis::start_with(&["--maxmemory", "8mb"]).await;
    let store = open(&server.url());
    let (session, marked) = (created(&store).await, created(&store).await);
    let face = add(&store, &session, &"a face".repeat(100)).await;
    set_in_progress(&store, &marked, true).await;
    for _ in 0..3 {
        store
            .sessions
            .create(&name(), bytes("x"), HOUR, row("due", Duration::ZERO), &ClientBounds::NONE)
            .await
            .unwrap();
    }
    let refused = async || {
        store.sessions.create(&name(), bytes(&"x".repeat(16 << 10)), HOUR, later(), &ClientBounds::NONE).await
    };
    until(async || match refused().await {
        Ok(()) => None,
        Err(StoreError::Full) => Some(()),
        Err(error) => panic!("{error}"),
    })
    .await;

    // The server refused a write immediately before each of these operations.
    let full = async || assert!(matches!(refused().await, Err(StoreError::Full)), "it is not full any more");
    let depth = store.outbox.depth(Lane::Sessions).await.unwrap();
    let refused = store
        .sessions
        .add_face(&session, Uuid::new_v4(), bytes(&"x".repeat(16 << 10)), 99, &ClientBounds::NONE)
        .await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let leased = store.outbox.lease(Lane::Sessions, 9, HOUR).await.unwrap();
    assert_eq!(leased.len(), 3);
    full().await;
    assert!(store.outbox.postpone(&leased[0], HOUR, None).await.unwrap());
    full().await;
    assert!(store.outbox.finish(&leased[1]).await.unwrap());
    full().await;
    assert_eq!(store.sessions.delete_faces(&session, &[face], Some(later())).await.unwrap(), Some(1));
    full().await;
    let begun = store.sessions.change_replay(&session, replay(0), &ClientBounds::NONE).await;
    assert!(matches!(begun, Err(StoreError::Full)), "{begun:?}");
    // The replay in progress ends, with a callback.
    let change = ReplayChange { rows: vec![(Lane::Callbacks, later())], ..replay(1) };
    let ended = store.sessions.change_replay(&marked, change, &ClientBounds::NONE).await.unwrap();
    assert_eq!(ended, ReplayOutcome::Changed { revision: 2 });
    full().await;
    let [callback] = &store.outbox.list(Lane::Callbacks, 9).await.unwrap()[..] else { panic!("no row") };
    assert!(store.outbox.transfer(callback.id, Lane::Callbacks, Lane::DeadCallbacks, HOUR).await.unwrap());
    full().await;
    assert!(store.outbox.remove(Lane::DeadCallbacks, callback.id).await.unwrap());
    full().await;
    assert_eq!(store.sessions.delete(&marked, later()).await.unwrap(), Deletion::Deleted);
    // One row is finished and two were written; the refused operations wrote none.
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), depth + 1);
    assert!(store.sessions.session(&session).await.unwrap().is_some());
}

/// The fields are those that a version without replays wrote.
#[tokio::test]
async fn a_session_of_an_earlier_version_takes_a_replay() {
    let server = Redis::start().await;
    let (store, raw) = (open(&server.url()), Raw::connect(&server).await);
    let session = name();
    let key = format!("faceline:{{store}}:session:{session}");
    raw.ask::<()>(&format!("HSET {key} body x replay 0 added 0")).await;
    raw.ask::<()>(&format!("PEXPIRE {key} 3600000")).await;
    let face = add(&store, &session, "a face").await;
    assert_eq!(store.sessions.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    let change = ReplayChange { in_progress: true, upload_within: Some(HOUR), ..replay(0) };
    let changed = store.sessions.change_replay(&session, change, &ClientBounds::NONE).await.unwrap();
    assert_eq!(changed, ReplayOutcome::Changed { revision: 1 });
    let ReplayLookup::Found(found) = store.sessions.replay(&session).await.unwrap() else {
        panic!("no replay")
    };
    assert_eq!((found.revision, &found.body[..]), (1, &b"a replay"[..]));
    assert_eq!(store.sessions.faces(&session).await.unwrap().unwrap(), [(face, bytes("a face"))]);
    // That version reads this field before it deletes a session.
    assert_eq!(raw.ask::<u8>(&format!("HGET {key} replay")).await, 1);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
    assert!(set_in_progress(&store, &session, false).await);
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::Deleted);
    assert_eq!(store.sessions.client_usage("client").await.unwrap(), ClientUsage::default());
}

/// A cluster refuses scripts whose keys are not in one slot.
#[tokio::test]
async fn a_node_of_a_cluster_serves_it() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port().to_string();
    let server = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &free]).await;
    let raw = Raw::connect(&server).await;
    raw.ask::<()>("CLUSTER ADDSLOTSRANGE 0 16383").await;
    until(async || raw.ask::<String>("CLUSTER INFO").await.contains("cluster_state:ok").then_some(())).await;

    let store = faceline_gateway_store::open(&settings(&server.url()), server.data_dir()).unwrap();
    every_change(&store).await;
    let session = created(&store).await;
    assert!(store.sessions.session(&session).await.unwrap().is_some());
    store.health.check().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_being_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["redis://user:s3cret@host:port", "rediss://:s3cret@", "http://s3cret", "s3cret"] {
        let parsed = url.parse::<StoreUrl>().map_err(|error: InvalidUrl| StoreError::Url(error.to_string()));
        let error = parsed
            .and_then(|url| faceline_gateway_store::open(&url.into(), folder.path()))
            .err()
            .unwrap_or_else(|| panic!("{url} is taken"));
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    soon(faceline_gateway_store::open(&StoreSettings::default(), folder.path()).unwrap().health.check())
        .await
        .unwrap();
}
