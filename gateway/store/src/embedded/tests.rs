//! Tests of full and slow disks, and of the rows that stay in the file.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use redb::StorageBackend;
use redb::backends::FileBackend;
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{EmbeddedStore, file, tables};
use crate::outbox::{Lane, NewRow, OutboxStore as _};
use crate::sessions::{Deletion, ReplayChange, SessionName, SessionStore as _};
use crate::{ClientBounds, StoreError, StoreHealth as _};

const HOUR: Duration = Duration::from_secs(3600);

/// A disk with a limited size, whose syncs can be made to wait.
#[derive(Debug)]
struct Disk {
    /// Size in bytes to which the file can grow.
    room: AtomicU64,
    /// Whether the file's length can be set beyond that size. Most file systems allow it, and fail when that part is
    /// written.
    is_sparse: bool,
    syncs: AtomicUsize,
    /// Whether syncs wait.
    is_held_up: Mutex<bool>,
    goes_on: Condvar,
}

impl Disk {
    fn new(is_sparse: bool) -> Arc<Self> {
        let room = AtomicU64::new(u64::MAX);
        let (is_held_up, goes_on) = (Mutex::new(false), Condvar::new());
        Arc::new(Self { room, is_sparse, syncs: AtomicUsize::new(0), is_held_up, goes_on })
    }

    fn check_capacity(&self, end: u64) -> io::Result<()> {
        if end <= self.room.load(Ordering::Relaxed) { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn hold_up(&self, is_held_up: bool) {
        *self.is_held_up.lock().unwrap() = is_held_up;
        self.goes_on.notify_all();
    }

    /// A store in a file of this disk.
    fn store(self: &Arc<Self>, folder: &Path) -> EmbeddedStore {
        let (disk, path) = (self.clone(), folder.join("sessions.redb"));
        let opener = Box::new(move || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path)?;
            file::open(FileOnDisk { disk: disk.clone(), file: FileBackend::new(file)? })
        });
        EmbeddedStore::start(opener).unwrap()
    }
}

#[derive(Debug)]
struct FileOnDisk {
    disk: Arc<Disk>,
    file: FileBackend,
}

impl StorageBackend for FileOnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if !self.disk.is_sparse {
            self.disk.check_capacity(length)?;
        }
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.syncs.fetch_add(1, Ordering::Relaxed);
        let is_held_up = self.disk.is_held_up.lock().unwrap();
        drop(self.disk.goes_on.wait_while(is_held_up, |held| *held).unwrap());
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.check_capacity(offset + data.len() as u64)?;
        self.file.write(offset, data)
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn name() -> SessionName {
    SessionName { client: "client".into(), id: Uuid::new_v4() }
}

fn row() -> NewRow {
    NewRow { id: Uuid::new_v4(), body: Bytes::from_static(b"a row"), due_in: HOUR }
}

/// The first change of a replay.
fn replay() -> ReplayChange {
    ReplayChange {
        expected: 0,
        body: Bytes::from_static(b"a replay"),
        in_progress: false,
        upload_within: Some(HOUR),
        lease: Duration::ZERO,
        rows: vec![],
    }
}

/// Number of sessions, ends, faces and replays in the file, including those that have ended.
async fn held(store: &EmbeddedStore) -> [u64; 4] {
    store.read(|transaction, _| tables::sessions::lengths(transaction)).await.unwrap()
}

async fn a_full_disk_is_an_error_until_it_has_room(is_sparse: bool) {
    let (folder, disk) = (folder(), Disk::new(is_sparse));
    let store = disk.store(folder.path());
    disk.room.store(8 << 20, Ordering::Relaxed);
    let large = Bytes::from(vec![7; 100_000]);

    let mut kept = Vec::new();
    let refused = loop {
        let session = name();
        match store.create(&session, large.clone(), HOUR, row(), &ClientBounds::NONE).await {
            Ok(()) => kept.push(session),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "the disk has no end");
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert!(kept.len() > 10, "full with {}", kept.len());
    store.check().await.unwrap();
    for _ in 0..3 {
        let refused = store.create(&name(), large.clone(), HOUR, row(), &ClientBounds::NONE).await;
        assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    }
    for session in &kept {
        assert_eq!(store.session(session).await.unwrap().unwrap().body, large);
    }

    disk.room.store(u64::MAX, Ordering::Relaxed);
    store.create(&name(), large.clone(), HOUR, row(), &ClientBounds::NONE).await.unwrap();
    drop(store);
    let store = disk.store(folder.path());
    for session in &kept {
        assert_eq!(store.session(session).await.unwrap().unwrap().body, large);
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_it_has_room_again() {
    a_full_disk_is_an_error_until_it_has_room(false).await;
}

#[tokio::test]
async fn so_is_one_that_is_found_full_when_it_is_written_to() {
    a_full_disk_is_an_error_until_it_has_room(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_wait_together_share_a_commit() {
    let (folder, disk) = (folder(), Disk::new(false));
    let store = Arc::new(disk.store(folder.path()));
    let before = disk.syncs.load(Ordering::Relaxed);
    let mut creating = JoinSet::new();
    disk.hold_up(true);
    for _ in 0..100 {
        let store = store.clone();
        creating.spawn(async move {
            store.create(&name(), Bytes::new(), HOUR, row(), &ClientBounds::NONE).await.unwrap();
        });
    }
    // No caller is answered before the disk has answered.
    let first = tokio::time::timeout(Duration::from_millis(200), creating.join_next()).await;
    assert!(first.is_err(), "answered before it was on the disk");
    assert_eq!(held(&store).await[0], 0);
    disk.hold_up(false);
    creating.join_all().await;
    assert_eq!(held(&store).await[0], 100);
    let syncs = disk.syncs.load(Ordering::Relaxed) - before;
    assert!(syncs < 10, "{syncs} syncs");
}

#[tokio::test]
async fn what_changes_nothing_does_not_wait_for_the_disk() {
    let (folder, disk) = (folder(), Disk::new(false));
    let store = disk.store(folder.path());
    let before = disk.syncs.load(Ordering::Relaxed);
    assert_eq!(store.lease(Lane::Sessions, 9, HOUR).await.unwrap(), []);
    assert_eq!(store.delete(&name(), row()).await.unwrap(), Deletion::NoSession);
    store.check().await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn what_ended_is_removed_from_the_file() {
    let folder = folder();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    for ttl in [Duration::from_millis(1), Duration::from_millis(300), HOUR] {
        let session = name();
        store.create(&session, Bytes::new(), ttl, row(), &ClientBounds::NONE).await.unwrap();
        store.add_face(&session, Uuid::new_v4(), Bytes::new(), 9, &ClientBounds::NONE).await.unwrap();
        store.change_replay(&session, replay(), &ClientBounds::NONE).await.unwrap();
    }
    let removed = async {
        while held(&store).await != [1, 1, 1, 1] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), removed).await.unwrap();
    assert_eq!(store.depth(Lane::Sessions).await.unwrap(), 3);
}

#[tokio::test]
async fn what_is_deleted_is_removed_from_the_file() {
    let folder = folder();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    let sessions = [name(), name()];
    for session in &sessions {
        store.create(session, Bytes::new(), HOUR, row(), &ClientBounds::NONE).await.unwrap();
        store.add_face(session, Uuid::new_v4(), Bytes::new(), 9, &ClientBounds::NONE).await.unwrap();
        store.change_replay(session, replay(), &ClientBounds::NONE).await.unwrap();
    }
    store.delete(&sessions[0], row()).await.unwrap();
    assert_eq!(held(&store).await, [1, 1, 1, 1]);
}
