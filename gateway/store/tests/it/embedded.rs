//! Tests of the embedded store only.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use faceline_gateway_store::embedded::EmbeddedStore;
use faceline_gateway_store::outbox::{Lane, OutboxStore};
use faceline_gateway_store::sessions::{
    Deletion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, SessionStore,
};
use faceline_gateway_store::{ClientBounds, ClientUsage, StoreError, StoreHealth};
use futures_util::FutureExt;
use redb::{Database, TableDefinition};
use uuid::Uuid;

use crate::fixture::{HOUR, bytes, later, name, replay};

/// Environment variable with the folder for the child process [`write_until_killed`].
const FOLDER_VARIABLE: &str = "FACELINE_TEST_FOLDER";

/// Prefix of the child's output.
const LINE_PREFIX: &str = "created ";

fn refusal(folder: &Path) -> StoreError {
    match EmbeddedStore::open(folder) {
        Ok(_) => panic!("the file is taken"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn the_file_is_made_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("not/yet/there");
    let store = EmbeddedStore::open(&inner).unwrap();
    store.check().await.unwrap();
    let mode = fs::metadata(inner.join("sessions.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Broken(_)));
    assert!(error.to_string().contains("another process uses its file"), "{error}");
    store.check().await.unwrap();
    drop(store);
    EmbeddedStore::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.redb");
    fs::write(&file, "something else".repeat(10_000)).unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::Broken(_)));
    assert!(fs::read(&file).unwrap().starts_with(b"something else"), "it was overwritten");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::Broken(_)));
}

#[tokio::test]
async fn a_file_that_lost_bytes_is_refused_or_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    let session = name();
    store.create(&session, bytes(&"x".repeat(100_000)), HOUR, later(), &ClientBounds::NONE).await.unwrap();
    drop(store);
    let file = folder.path().join("sessions.redb");
    let whole = fs::read(&file).unwrap();
    // First a byte of the body is changed, then the end of the file is missing.
    let body = memchr::memmem::find(&whole, &[b'x'; 100]).unwrap();
    let mut changed = whole.clone();
    changed[body + 50] ^= 1;
    for broken in [&changed[..], &whole[..whole.len() / 2]] {
        fs::write(&file, broken).unwrap();
        let error = refusal(folder.path());
        assert!(matches!(error, StoreError::Broken(_)), "{error}");
    }
    fs::write(&file, &whole).unwrap();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert!(store.session(&session).await.unwrap().is_some());
}

/// The tables are those that a version without replays wrote.
#[tokio::test]
async fn a_session_of_an_earlier_version_takes_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let session = name();
    let key = (session.id, &*session.client);
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + HOUR;
    let ends = u64::try_from(ends.as_millis()).unwrap();
    let file = Database::create(folder.path().join("sessions.redb")).unwrap();
    let writing = file.begin_write().unwrap();
    {
        let sessions: TableDefinition<'_, (Uuid, &str), (u64, bool, &[u8])> =
            TableDefinition::new("sessions");
        writing.open_table(sessions).unwrap().insert(key, (ends, false, &b"a session"[..])).unwrap();
        let end: TableDefinition<'_, (u64, Uuid, &str), ()> = TableDefinition::new("ends");
        writing.open_table(end).unwrap().insert((ends, session.id, &*session.client), ()).unwrap();
    }
    writing.commit().unwrap();
    drop(file);

    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(store.session(&session).await.unwrap().unwrap().body, "a session");
    assert_eq!(store.replay(&session).await.unwrap(), ReplayLookup::NoReplay);
    let change = ReplayChange { in_progress: true, rows: vec![(Lane::Callbacks, later())], ..replay(0) };
    let changed = store.change_replay(&session, change, &ClientBounds::NONE).await.unwrap();
    assert_eq!(changed, ReplayOutcome::Changed { revision: 1 });
    let ReplayLookup::Found(found) = store.replay(&session).await.unwrap() else { panic!("no replay") };
    assert_eq!((found.revision, &found.body[..]), (1, &b"a replay"[..]));
    assert_eq!(store.session(&session).await.unwrap().unwrap().body, "a session");
    assert_eq!(store.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
    store.change_replay(&session, replay(1), &ClientBounds::NONE).await.unwrap();
    assert_eq!(store.delete(&session, later()).await.unwrap(), Deletion::Deleted);
    assert_eq!(store.client_usage("client").await.unwrap(), ClientUsage::default());
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_done_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    let sessions: Vec<_> = (0..300).map(|_| name()).collect();
    for session in &sessions {
        // The call is started, and dropped immediately.
        if let Some(created) =
            store.create(session, bytes("x"), HOUR, later(), &ClientBounds::NONE).now_or_never()
        {
            created.unwrap();
        }
    }
    drop(store);
    let store = EmbeddedStore::open(folder.path()).unwrap();
    for session in &sessions {
        assert!(store.session(session).await.unwrap().is_some());
    }
    assert_eq!(store.depth(Lane::Sessions).await.unwrap(), 300);
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut created = Vec::new();
    for round in 1..=3 {
        let this = std::env::current_exe().unwrap();
        let mut child = Command::new(this)
            .args(["--ignored", "--exact", "--nocapture", "embedded::write_until_killed"])
            .env(FOLDER_VARIABLE, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next_id =
            || lines.find_map(|line| Some(line.ok()?.split_once(LINE_PREFIX)?.1.parse::<Uuid>().unwrap()));
        for _ in 0..100 {
            created.push(next_id().expect("the child ended"));
        }
        // The child may have printed more lines before it was killed.
        child.kill().unwrap();
        child.wait().unwrap();
        created.extend(std::iter::from_fn(next_id));

        let store = EmbeddedStore::open(folder.path()).unwrap();
        for &id in &created {
            let session = SessionName { client: "child".into(), id };
            assert_eq!(store.faces(&session).await.unwrap().unwrap().len(), 1, "round {round}");
        }
        assert!(store.depth(Lane::Sessions).await.unwrap() >= created.len() as u64);
    }
}

#[tokio::test]
#[ignore = "a program of what_was_answered_survives_kill_9"]
async fn write_until_killed() {
    let (_, folder): (OsString, OsString) =
        std::env::vars_os().find(|(name, _)| name == FOLDER_VARIABLE).unwrap();
    let store = EmbeddedStore::open(&PathBuf::from(folder)).unwrap();
    loop {
        let session = SessionName { client: "child".into(), id: Uuid::new_v4() };
        store.create(&session, bytes("x"), HOUR, later(), &ClientBounds::NONE).await.unwrap();
        store.add_face(&session, Uuid::new_v4(), bytes("a face"), 9, &ClientBounds::NONE).await.unwrap();
        println!("{LINE_PREFIX}{}", session.id);
    }
}
