//! The session store port: one suite that both adapters pass, and what only one of them can be asked.

mod embedded;
mod faces;
mod once;
mod outbox;
mod races;
mod redis;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::session::{self, Lane, NewRow, SessionName, SessionStore};
use faceline_shared::settings::StoreUrl;
use faceline_shared::testkit::Redis;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use crate::LIMIT;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What clocks that count in milliseconds may be late.
const GRAIN: Duration = Duration::from_millis(3);

type Store = Arc<dyn SessionStore>;

/// A store, and what it lives on.
trait Fixture {
    async fn start() -> Self;
    fn store(&self) -> &Store;
    /// The same store as a second gateway has it; where there can be only one, that one.
    fn second(&self) -> &Store;
    /// Ends what the store lives on and starts it again with its files.
    async fn restart(&mut self);
}

struct Embedded {
    store: Option<Store>,
    folder: TempDir,
}

impl Fixture for Embedded {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = session::open(&StoreUrl::Embedded, folder.path()).unwrap();
        Self { store: Some(store), folder }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn second(&self) -> &Store {
        self.store()
    }

    async fn restart(&mut self) {
        self.store = None;
        self.store = Some(session::open(&StoreUrl::Embedded, self.folder.path()).unwrap());
    }
}

struct Remote {
    server: Redis,
    store: Store,
    second: Store,
}

impl Fixture for Remote {
    async fn start() -> Self {
        let server = Redis::start_persistent().await;
        let open = || session::open(&server.url().parse().unwrap(), server.data_dir()).unwrap();
        let (store, second) = (open(), open());
        Self { server, store, second }
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn second(&self) -> &Store {
        &self.second
    }

    async fn restart(&mut self) {
        self.server.kill9().await;
        self.server.restart().await;
    }
}

/// Makes each function of a module a test of each store.
macro_rules! conformance {
    ($($test:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::session::Embedded>().await; })*
        }
        mod remote {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::session::Remote>().await; })*
        }
    };
}
use conformance;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A new session's name.
fn name() -> SessionName {
    SessionName { client: "client".into(), id: Uuid::new_v4() }
}

fn row(body: &str, due_in: Duration) -> NewRow {
    NewRow { id: Uuid::new_v4(), body: bytes(body), due_in }
}

/// A row that nobody will see.
fn later() -> NewRow {
    row("later", HOUR)
}

/// A session that is there for an hour, with a row that nobody will see.
async fn created(store: &Store) -> SessionName {
    let session = name();
    store.create(&session, bytes("a session"), HOUR, later()).await.unwrap();
    session
}

async fn add(store: &Store, session: &SessionName, body: &str) -> Uuid {
    let face = Uuid::new_v4();
    let added = store.add_face(session, face, bytes(body), 1000).await.unwrap();
    assert_eq!(added, session::Insertion::Added);
    face
}

/// Asks until there is an answer, and tells when the last question was asked.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> (Instant, T) {
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

/// Asserts that every operation says that there is no session of this name, and writes no row.
async fn assert_nowhere(store: &Store, session: &SessionName) {
    use faceline_gateway_store::session::{Deletion, Found, Insertion};

    let face = Uuid::new_v4();
    let depth = store.outbox_depth(Lane::Sessions).await.unwrap();
    assert_eq!(store.session(session).await.unwrap(), None);
    assert_eq!(store.faces(session).await.unwrap(), None);
    assert_eq!(store.face(session, face).await.unwrap(), Found::NoSession);
    assert_eq!(store.add_face(session, face, bytes("x"), 9).await.unwrap(), Insertion::NoSession);
    assert_eq!(store.delete_faces(session, &[face], Some(later())).await.unwrap(), None);
    assert!(!store.set_replay(session, true).await.unwrap());
    assert!(!store.set_replay(session, false).await.unwrap());
    assert_eq!(store.delete(session, later()).await.unwrap(), Deletion::NoSession);
    assert_eq!(store.outbox_depth(Lane::Sessions).await.unwrap(), depth);
}
