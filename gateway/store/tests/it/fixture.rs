//! Shared code of the suites of the ports: a store to test for each adapter, and functions that fill it.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::outbox::{Lane, NewRow};
use faceline_gateway_store::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName,
};
use faceline_gateway_store::{ClientBounds, Stores, open};
use faceline_shared::settings::{StoreSettings, StoreUrl};
use faceline_shared::testkit::Redis;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use crate::LIMIT;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Tolerance for clocks with a resolution of milliseconds.
pub(crate) const GRAIN: Duration = Duration::from_millis(3);

/// A store and its file or server.
pub(crate) trait Fixture {
    async fn start() -> Self;
    fn store(&self) -> &Stores;
    /// The same store as a second gateway opens it, or the first one if only one process can open it.
    fn second(&self) -> &Stores;
    /// Stops the file or server, and starts it again with its data.
    async fn restart(&mut self);
}

pub(crate) struct Embedded {
    store: Option<Stores>,
    folder: TempDir,
}

impl Fixture for Embedded {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&StoreSettings::default(), folder.path()).unwrap();
        Self { store: Some(store), folder }
    }

    fn store(&self) -> &Stores {
        self.store.as_ref().unwrap()
    }

    fn second(&self) -> &Stores {
        self.store()
    }

    async fn restart(&mut self) {
        self.store = None;
        self.store = Some(open(&StoreSettings::default(), self.folder.path()).unwrap());
    }
}

pub(crate) struct Remote {
    server: Redis,
    store: Stores,
    second: Stores,
}

impl Fixture for Remote {
    async fn start() -> Self {
        let server = Redis::start_persistent().await;
        let start = || open(&settings(&server.url()), server.data_dir()).unwrap();
        let (store, second) = (start(), start());
        Self { server, store, second }
    }

    fn store(&self) -> &Stores {
        &self.store
    }

    fn second(&self) -> &Stores {
        &self.second
    }

    async fn restart(&mut self) {
        self.server.kill9().await;
        self.server.restart().await;
    }
}

/// Makes each function of a module a test of each adapter.
macro_rules! conformance {
    ($($test:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::fixture::Embedded>().await; })*
        }
        mod remote {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::fixture::Remote>().await; })*
        }
    };
}
pub(crate) use conformance;

/// The settings of a store at this address.
pub(crate) fn settings(url: &str) -> StoreSettings {
    url.parse::<StoreUrl>().unwrap().into()
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The name of a new session.
pub(crate) fn name() -> SessionName {
    SessionName { client: "client".into(), id: Uuid::new_v4() }
}

pub(crate) fn row(body: &str, due_in: Duration) -> NewRow {
    NewRow { id: Uuid::new_v4(), body: bytes(body), due_in }
}

/// A row that is not due during a test.
pub(crate) fn later() -> NewRow {
    row("later", HOUR)
}

/// A session with an hour's lifetime, and a row that is not due during a test.
pub(crate) async fn created(store: &Stores) -> SessionName {
    let session = name();
    store.sessions.create(&session, bytes("a session"), HOUR, later(), &ClientBounds::NONE).await.unwrap();
    session
}

pub(crate) async fn add(store: &Stores, session: &SessionName, body: &str) -> Uuid {
    let face = Uuid::new_v4();
    let added = store.sessions.add_face(session, face, bytes(body), 1000, &ClientBounds::NONE).await.unwrap();
    assert_eq!(added, Insertion::Added);
    face
}

/// A change of a replay that has this revision.
pub(crate) fn replay(expected: u64) -> ReplayChange {
    ReplayChange {
        expected,
        body: bytes("a replay"),
        in_progress: false,
        upload_within: None,
        lease: Duration::ZERO,
        rows: vec![],
    }
}

/// Sets whether a session's replay is in progress, at any revision of it. Returns false if there is no session.
pub(crate) async fn set_in_progress(store: &Stores, session: &SessionName, in_progress: bool) -> bool {
    loop {
        let revision = match store.sessions.replay(session).await.unwrap() {
            ReplayLookup::Found(found) => found.revision,
            ReplayLookup::NoReplay => 0,
            ReplayLookup::NoSession => return false,
        };
        let change = ReplayChange { in_progress, ..replay(revision) };
        match store.sessions.change_replay(session, change, &ClientBounds::NONE).await.unwrap() {
            ReplayOutcome::Changed { .. } => return true,
            ReplayOutcome::NoSession => return false,
            ReplayOutcome::OtherRevision => {}
        }
    }
}

/// Calls `ask` until it returns a value, and returns that value with the time of the last call.
pub(crate) async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> (Instant, T) {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        if let Some(answer) = ask().await {
            return (asked, answer);
        }
        assert!(started.elapsed() < LIMIT, "it takes too long");
        tokio::task::yield_now().await;
    }
}

/// Asserts that every operation reports that there is no session of this name, and writes no row.
pub(crate) async fn assert_nowhere(store: &Stores, session: &SessionName) {
    let face = Uuid::new_v4();
    let depth = store.outbox.depth(Lane::Sessions).await.unwrap();
    assert_eq!(store.sessions.session(session).await.unwrap(), None);
    assert_eq!(store.sessions.faces(session).await.unwrap(), None);
    assert_eq!(store.sessions.face(session, face).await.unwrap(), FaceLookup::NoSession);
    assert_eq!(
        store.sessions.add_face(session, face, bytes("x"), 9, &ClientBounds::NONE).await.unwrap(),
        Insertion::NoSession
    );
    assert_eq!(store.sessions.delete_faces(session, &[face], Some(later())).await.unwrap(), None);
    assert_eq!(store.sessions.replay(session).await.unwrap(), ReplayLookup::NoSession);
    for expected in [0, 1] {
        let change = ReplayChange { rows: vec![(Lane::Sessions, later())], ..replay(expected) };
        assert_eq!(
            store.sessions.change_replay(session, change, &ClientBounds::NONE).await.unwrap(),
            ReplayOutcome::NoSession
        );
    }
    assert_eq!(store.sessions.delete(session, later()).await.unwrap(), Deletion::NoSession);
    assert_eq!(store.outbox.depth(Lane::Sessions).await.unwrap(), depth);
}
