//! The suite of the object store port, and tests of its adapters.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use faceline_shared::object::folder::FolderObjects;
use faceline_shared::object::{self, ObjectError, ObjectStore, SealedObjects};
use faceline_shared::seal::{KeyRing, SealError};
use faceline_shared::settings::{InvalidUrl, ObjectSettings};
use faceline_shared::testkit::{CutProxy, S3};
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::files::Files;
use crate::soon;

const MEGABYTE: usize = 1 << 20;

/// A store and its folder or server.
trait Fixture {
    async fn start() -> Self;
    fn store(&self) -> &Arc<dyn ObjectStore>;
    /// The settings with which another process opens the store.
    fn settings(&self) -> ObjectSettings;
    fn files(&self) -> Files;
}

struct Folder {
    root: TempDir,
    store: Arc<dyn ObjectStore>,
}

impl Fixture for Folder {
    async fn start() -> Self {
        let root = TempDir::new().unwrap();
        let store = bucket(&folder_settings(root.path()));
        Self { root, store }
    }

    fn settings(&self) -> ObjectSettings {
        folder_settings(self.root.path())
    }

    fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    fn files(&self) -> Files {
        Files::read(self.root.path())
    }
}

fn folder_settings(root: &Path) -> ObjectSettings {
    let url = format!("file://{}/not/there/yet", root.display());
    ObjectSettings { url: Some(url.parse().unwrap()), ..ObjectSettings::default() }
}

struct Bucket {
    server: S3,
    store: Arc<dyn ObjectStore>,
}

impl Fixture for Bucket {
    async fn start() -> Self {
        let server = S3::start().await;
        let store = bucket(&server.settings());
        Self { server, store }
    }

    fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    fn settings(&self) -> ObjectSettings {
        self.server.settings()
    }

    fn files(&self) -> Files {
        Files::read(self.server.data_dir())
    }
}

/// Makes each function of the suite a test of each adapter.
macro_rules! conformance {
    ($($test:ident)*) => {
        mod folder {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test::<super::Folder>().await; })*
        }
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test::<super::Bucket>().await; })*
        }
    };
}

mod streams;

conformance!(
    an_object_is_kept_replaced_and_deleted
    large_objects_come_back_whole_and_many_at_once
    no_reader_sees_half_an_object
    a_folder_goes_with_all_that_is_below_it_and_nothing_else
    what_is_below_a_folder_is_listed
    a_key_that_leads_elsewhere_is_refused
    a_sealed_object_opens_in_its_place_only_and_lies_nowhere_in_the_clear
);

async fn get(store: &dyn ObjectStore, key: &str) -> Option<Bytes> {
    soon(store.get(key)).await.unwrap()
}

async fn what_is_below_a_folder_is_listed<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    assert_eq!(store.list("usage").await.unwrap(), [""; 0]);
    assert_eq!(store.folders("usage").await.unwrap(), [""; 0]);
    let keys = ["usage/2026-11-21/b", "usage/2026-11-22/a", "usage/2026-11-22/c", "usages/x/y"];
    for key in keys {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(store.list("usage").await.unwrap(), keys[..3]);
    assert_eq!(store.list("usage/2026-11-22").await.unwrap(), keys[1..3]);
    assert_eq!(store.folders("usage").await.unwrap(), ["2026-11-21", "2026-11-22"]);
    assert_eq!(store.folders("usage/2026-11-21").await.unwrap(), [""; 0]);
}

async fn an_object_is_kept_replaced_and_deleted<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.check().await.unwrap();
    assert_eq!(get(&**store, "sessions/a/1.jpg").await, None);
    store.delete("sessions/a/1.jpg").await.unwrap();

    for bytes in [&b"first"[..], b"", b"\0\xff\r\n"] {
        store.put("sessions/a/1.jpg", Bytes::from_static(bytes)).await.unwrap();
        store.put("sessions/a/2.jpg", Bytes::from_static(b"other")).await.unwrap();
        assert_eq!(get(&**store, "sessions/a/1.jpg").await.unwrap(), bytes);
    }
    store.delete("sessions/a/1.jpg").await.unwrap();
    assert_eq!(get(&**store, "sessions/a/1.jpg").await, None);
    assert_eq!(get(&**store, "sessions/a/1.jpg/below").await, None);
    assert_eq!(get(&**store, "sessions/a/2.jpg").await.unwrap(), "other");
}

async fn large_objects_come_back_whole_and_many_at_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let large: Bytes = (0..20 * MEGABYTE).map(|index| (index % 251) as u8).collect();
    store.put("large", large.clone()).await.unwrap();
    assert!(get(&**store, "large").await.unwrap() == large);

    let keys: Vec<_> = (0..50).map(|number| format!("many/{number}/{number}")).collect();
    futures_util::future::join_all(keys.iter().map(async |key| {
        store.put(key, Bytes::from(key.repeat(10_000))).await.unwrap();
        assert_eq!(get(&**store, key).await.unwrap(), key.repeat(10_000));
        // Deleting an object must not disturb the folders of others.
        store.delete(key).await.unwrap();
        assert_eq!(get(&**store, key).await, None);
    }))
    .await;
}

async fn no_reader_sees_half_an_object<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let of = |byte: u8| Bytes::from(vec![byte; 4 * MEGABYTE]);
    store.put("a", of(0)).await.unwrap();
    let writing = async {
        for byte in 1..10 {
            store.put("a", of(byte)).await.unwrap();
        }
    };
    let reading = async {
        loop {
            let seen = get(&**store, "a").await.unwrap();
            assert!(seen == of(seen[0]), "{} bytes, from {} to {:?}", seen.len(), seen[0], seen.last());
            if seen[0] == 9 {
                return;
            }
        }
    };
    soon(async { tokio::join!(writing, reading, reading_twice(&**store)) }).await;
}

/// Asserts that the second of two reads returns no older object than the first.
async fn reading_twice(store: &dyn ObjectStore) {
    let first = get(store, "a").await.unwrap()[0];
    let second = get(store, "a").await.unwrap()[0];
    assert!(first <= second, "{first} was replaced by {second}");
}

async fn a_folder_goes_with_all_that_is_below_it_and_nothing_else<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let below: Vec<_> = (0..1100).map(|number| format!("a/b/{}/{number}", number % 7)).collect();
    let neighbours = ["a/bc", "a/b.c/1", "a/b-/1", "a/c", "b/a/b", "ab"].map(str::to_owned);
    stream::iter(below.iter().chain(&neighbours))
        .for_each_concurrent(16, async |key| store.put(key, Bytes::from(key.clone())).await.unwrap())
        .await;

    assert_eq!(soon(store.delete_all("a/b/3")).await.unwrap(), 157);
    assert_eq!(soon(store.delete_all("a/b")).await.unwrap(), 943);
    assert_eq!(soon(store.delete_all("a/b")).await.unwrap(), 0);
    for key in &below {
        assert_eq!(get(&**store, key).await, None, "{key}");
    }
    for key in &neighbours {
        assert_eq!(get(&**store, key).await.unwrap(), key);
    }
}

async fn a_key_that_leads_elsewhere_is_refused<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for key in ["", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "a/", "~a", "a b", "%2e%2e/a"] {
        let refused = |error| matches!(error, ObjectError::Key(_));
        assert!(refused(store.put(key, Bytes::new()).await.unwrap_err()), "{key}");
        assert!(refused(store.get(key).await.unwrap_err()), "{key}");
        assert!(refused(store.delete(key).await.unwrap_err()), "{key}");
        assert!(refused(store.delete_all(key).await.unwrap_err()), "{key}");
    }
}

async fn a_sealed_object_opens_in_its_place_only_and_lies_nowhere_in_the_clear<F: Fixture>() {
    let fixture = F::start().await;
    let store = Arc::clone(fixture.store());
    let sealed = SealedObjects::new(Arc::clone(&store), KeyRing::generate().unwrap());
    let (key, picture) = (Uuid::now_v7().to_string(), format!("picture of {}", Uuid::now_v7()));
    sealed.check().await.unwrap();
    sealed.put("bank", &key, picture.as_bytes()).await.unwrap();
    assert_eq!(sealed.get("bank", &key).await.unwrap().unwrap(), picture);
    assert!(matches!(sealed.get("shop", &key).await, Err(ObjectError::Seal(SealError::Forged))));

    let moved = Uuid::now_v7().to_string();
    store.put(&moved, get(&*store, &key).await.unwrap()).await.unwrap();
    assert!(matches!(sealed.get("bank", &moved).await, Err(ObjectError::Seal(SealError::Forged))));
    let other_key = SealedObjects::new(Arc::clone(&store), KeyRing::generate().unwrap());
    assert!(matches!(other_key.get("bank", &key).await, Err(ObjectError::Seal(SealError::UnknownKey(_)))));

    let raw = get(&*store, &key).await.unwrap();
    assert!(!raw.windows(picture.len()).any(|window| window == picture.as_bytes()));
    assert!(!fixture.files().contain(&picture));
    sealed.put("bank", "plain/1", b"").await.unwrap();
    store.put("plain/2", Bytes::from(picture.clone())).await.unwrap();
    assert!(fixture.files().contain(&picture), "what is not sealed is not seen either");
    assert_eq!(sealed.delete_all("plain").await.unwrap(), 2);
    assert!(!fixture.files().contain(&picture), "deleted, and there still");
    sealed.delete(&key).await.unwrap();
    assert_eq!(sealed.get("bank", &key).await.unwrap(), None);
}

/// The names of all entries in a folder and below it. What is removed meanwhile may be missing.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        names.push(entry.file_name().into_string().unwrap());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.append(&mut self::names(&entry.path()));
        }
    }
    names
}

#[tokio::test]
async fn empty_folders_and_the_remains_of_a_crash_are_removed() {
    let root = TempDir::new().unwrap();
    let store = FolderObjects::new(root.path().to_owned());
    store.put("a/b/c/1", Bytes::new()).await.unwrap();
    store.put("a/d", Bytes::new()).await.unwrap();
    store.delete("a/b/c/1").await.unwrap();
    assert_eq!(names(root.path()), ["a", "d"]);

    store.put("a/b/1", Bytes::new()).await.unwrap();
    fs::write(root.path().join("a/b/~8f0e"), "half a picture").unwrap();
    assert_eq!(store.delete_all("a").await.unwrap(), 2, "half an object is none");
    assert_eq!(names(root.path()), [""; 0]);
    assert!(root.path().is_dir());
}

#[tokio::test]
async fn a_folder_that_is_none_is_unreachable() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let store = FolderObjects::new(file);
    for error in [store.check().await.unwrap_err(), store.put("a", Bytes::new()).await.unwrap_err()] {
        assert!(matches!(error, ObjectError::Unreachable(_)), "{error}");
    }
}

/// Opens the store that the settings name.
fn bucket(settings: &ObjectSettings) -> Arc<dyn ObjectStore> {
    object::open(settings, Path::new("/nowhere")).unwrap()
}

/// Asserts that every operation of the store fails, in bounded time.
async fn is_unreachable(store: &dyn ObjectStore) {
    let results = soon(async {
        tokio::join!(
            store.put("a", Bytes::from_static(b"x")),
            store.get("a"),
            store.delete("a"),
            store.delete_all("a"),
            store.check(),
        )
    });
    let (put, get, delete, delete_all, check) = results.await;
    let errors = [put.err(), get.err(), delete.err(), delete_all.err(), check.err()];
    for (error, operation) in errors.into_iter().zip(["put", "get", "delete", "delete_all", "check"]) {
        assert!(matches!(error, Some(ObjectError::Unreachable(_))), "{operation}: {error:?}");
    }
}

/// A server that answers like Amazon's for a missing bucket. s3s-fs creates the bucket instead, or answers that the key is
/// missing.
async fn server_without_buckets() -> SocketAddr {
    const BODY: &str = "<Error><Code>NoSuchBucket</Code><Message>It does not exist</Message></Error>";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    let header = line.to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                let head = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: ";
                let answer = format!("{head}{}\r\n\r\n{BODY}", BODY.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn an_unknown_bucket_is_unreachable() {
    let server = S3::start().await;
    is_unreachable(&*bucket(&server.settings_at(server_without_buckets().await))).await;
    let elsewhere =
        bucket(&ObjectSettings { url: Some("s3://elsewhere/a".parse().unwrap()), ..server.settings() });
    assert!(matches!(elsewhere.check().await, Err(ObjectError::Unreachable(_))));
}

#[tokio::test]
async fn wrong_credentials_are_refused_without_being_repeated() {
    let server = S3::start().await;
    let store = bucket(&server.settings());
    store.put("a", Bytes::from_static(b"x")).await.unwrap();
    let wrong = ObjectSettings { secret_access_key: Some("s3cret-and-wrong".into()), ..server.settings() };
    is_unreachable(&*bucket(&wrong)).await;
    let error = bucket(&wrong).check().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret-and-wrong"), "{error:?}");
    is_unreachable(&*bucket(&ObjectSettings { access_key_id: Some("nobody".into()), ..server.settings() }))
        .await;
    assert_eq!(get(&*store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn an_endpoint_without_a_server_is_unreachable() {
    let mut server = S3::start().await;
    let store = bucket(&server.settings());
    store.check().await.unwrap();
    server.stop().await;
    is_unreachable(&*store).await;
}

#[tokio::test]
async fn a_silent_server_is_unreachable_within_its_time() {
    let server = S3::start().await;
    let proxy = CutProxy::start(server.address()).await;
    let store = bucket(&server.settings_at(proxy.address()));
    store.put("a", Bytes::from_static(b"x")).await.unwrap();
    proxy.stall();
    is_unreachable(&*store).await;
    proxy.cut();
    proxy.pass();
    assert_eq!(get(&*store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_nobody_s_concern() {
    let server = S3::start().await;
    let proxy = CutProxy::start(server.address()).await;
    let store = bucket(&server.settings_at(proxy.address()));
    store.put("a", Bytes::from_static(b"x")).await.unwrap();
    for _ in 0..5 {
        proxy.cut();
        assert_eq!(get(&*store, "a").await.unwrap(), "x");
    }
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for url in
        ["s3://", "s3:///folder", "s3://bucket/a/../b", "s3://bucket/a b", "file://a", "ftp://host", "s3"]
    {
        let parsed = url.parse().map_err(|error: InvalidUrl| ObjectError::Url(error.to_string()));
        let with = |url| ObjectSettings { url: Some(url), ..ObjectSettings::default() };
        let error = parsed.and_then(|url| object::open(&with(url), Path::new("/nowhere"))).err();
        assert!(matches!(error, Some(ObjectError::Url(_))), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn an_endpoint_with_tls_is_not_spoken_to_without() {
    let server = S3::start().await;
    let endpoint = format!("https://{}", server.address());
    is_unreachable(&*bucket(&ObjectSettings { endpoint: Some(endpoint.into()), ..server.settings() })).await;
}
