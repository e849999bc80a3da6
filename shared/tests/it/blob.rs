//! The suite of the blob store port, and tests of its adapters.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::blob::embedded::EmbeddedBlobs;
use faceline_shared::blob::redis::RedisBlobs;
use faceline_shared::blob::{self, BlobError, BlobStore, SealedBlobs};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{ClientTls, InvalidUrl};
use faceline_shared::testkit::{CutProxy, Redis};
use tokio::time::Instant;
use uuid::Uuid;

use crate::files::Files;
use crate::soon;

const MINUTE: Duration = Duration::from_secs(60);
const MEGABYTE: usize = 1 << 20;

/// A store that holds 96 MB, and its server.
trait Fixture {
    async fn start() -> Self;
    fn store(&self) -> &dyn BlobStore;
}

struct Embedded(EmbeddedBlobs);

impl Fixture for Embedded {
    async fn start() -> Self {
        Self(EmbeddedBlobs::new(96 * MEGABYTE))
    }

    fn store(&self) -> &dyn BlobStore {
        &self.0
    }
}

struct Remote {
    _server: Redis,
    store: Arc<dyn BlobStore>,
}

impl Fixture for Remote {
    async fn start() -> Self {
        let server = Redis::start_with(&["--maxmemory", "96mb"]).await;
        let store = blob::open(&server.url().parse().unwrap(), &ClientTls::default()).unwrap();
        Self { _server: server, store }
    }

    fn store(&self) -> &dyn BlobStore {
        &*self.store
    }
}

/// Makes each function of the suite a test of each adapter.
macro_rules! conformance {
    ($($test:ident)*) => {
        mod embedded {
            $(#[tokio::test] async fn $test() { super::$test::<super::Embedded>().await; })*
        }
        mod remote {
            $(#[tokio::test] async fn $test() { super::$test::<super::Remote>().await; })*
        }
    };
}

conformance!(
    a_blob_is_kept_replaced_and_deleted
    a_blob_is_gone_when_its_time_is_over
    large_blobs_come_back_whole_and_many_at_once
    a_full_store_says_so_and_keeps_what_it_has
);

fn redis(url: &str) -> RedisBlobs {
    RedisBlobs::new(url, &ClientTls::default()).unwrap()
}

async fn get(store: &dyn BlobStore, key: &str) -> Option<Bytes> {
    soon(store.get(key)).await.unwrap()
}

async fn a_blob_is_kept_replaced_and_deleted<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.check().await.unwrap();
    assert_eq!(get(store, "a").await, None);
    store.delete("a").await.unwrap();

    for bytes in [&b"first"[..], b"", b"\0\xff\r\n"] {
        store.put("a", Bytes::from_static(bytes), MINUTE).await.unwrap();
        store.put("b", Bytes::from_static(b"other"), MINUTE).await.unwrap();
        assert_eq!(get(store, "a").await.unwrap(), bytes);
    }
    store.delete("a").await.unwrap();
    assert_eq!(get(store, "a").await, None);
    assert_eq!(get(store, "b").await.unwrap(), "other");
}

async fn a_blob_is_gone_when_its_time_is_over<F: Fixture>() {
    const TTL: Duration = Duration::from_millis(300);
    let fixture = F::start().await;
    let store = fixture.store();
    store.put("longer", Bytes::from_static(b"x"), TTL).await.unwrap();
    store.put("longer", Bytes::from_static(b"x"), MINUTE).await.unwrap();
    let before = Instant::now();
    store.put("a", Bytes::from_static(b"x"), TTL).await.unwrap();
    let after = Instant::now();

    let last_seen = loop {
        let asked = Instant::now();
        if get(store, "a").await.is_none() {
            // The blob must not end too early…
            assert!(Instant::now() >= before + TTL, "gone after {:?}", before.elapsed());
            break asked;
        }
        // …nor too late: Redis counts in milliseconds.
        assert!(asked <= after + TTL + Duration::from_millis(2), "alive after {:?}", asked - after);
    };
    assert!(last_seen >= before);
    assert!(get(store, "longer").await.is_some());
}

async fn large_blobs_come_back_whole_and_many_at_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let large: Bytes = (0..20 * MEGABYTE).map(|index| (index % 251) as u8).collect();
    store.put("large", large.clone(), MINUTE).await.unwrap();
    assert!(get(store, "large").await.unwrap() == large);
    store.delete("large").await.unwrap();

    let keys: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    futures_util::future::join_all(keys.iter().map(async |key| {
        store.put(key, Bytes::from(key.repeat(10_000)), MINUTE).await.unwrap();
        assert_eq!(get(store, key).await.unwrap(), key.repeat(10_000));
    }))
    .await;
}

async fn a_full_store_says_so_and_keeps_what_it_has<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let mut kept = Vec::new();
    let refused = loop {
        let key = kept.len().to_string();
        match store.put(&key, Bytes::from(vec![7; 4 * MEGABYTE]), MINUTE).await {
            Ok(()) => kept.push(key),
            Err(error) => break error,
        }
        assert!(kept.len() <= 24, "the store has no bound");
    };
    assert!(matches!(refused, BlobError::Full), "{refused}");
    assert!(kept.len() > 12, "full with {} of 4 MB", kept.len());
    for key in &kept {
        assert!(get(store, key).await.is_some(), "{key} was thrown away");
    }
    store.delete(&kept[0]).await.unwrap();
    store.delete(&kept[1]).await.unwrap();
    store.put("after", Bytes::from(vec![7; 4 * MEGABYTE]), MINUTE).await.unwrap();
}

#[tokio::test]
async fn a_server_that_evicts_blobs_is_not_fit() {
    let server = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let error = redis(&server.url()).check().await.unwrap_err();
    assert!(matches!(&error, BlobError::Evicts(policy) if policy == "allkeys-lru"), "{error}");
}

#[tokio::test]
async fn a_server_that_keeps_its_settings_to_itself_is_asked_otherwise() {
    let hidden = ["--rename-command", "CONFIG", ""];
    let server = Redis::start_with(&hidden).await;
    redis(&server.url()).check().await.unwrap();

    let server = Redis::start_with(&[&hidden[..], &["--maxmemory-policy", "volatile-ttl"]].concat()).await;
    let error = redis(&server.url()).check().await.unwrap_err();
    assert!(matches!(&error, BlobError::Evicts(policy) if policy == "volatile-ttl"), "{error}");
}

#[tokio::test]
async fn a_stopped_store_is_unreachable_until_it_is_started_again() {
    let mut server = Redis::start_persistent().await;
    let store = redis(&server.url());
    store.put("a", Bytes::from_static(b"x"), MINUTE).await.unwrap();
    server.kill9().await;
    assert!(matches!(store.get("a").await, Err(BlobError::Unreachable(_))));
    assert!(matches!(store.check().await, Err(BlobError::Unreachable(_))));
    server.restart().await;
    assert_eq!(get(&store, "a").await.unwrap(), "x");
    server.restart().await;
    // The connection was lost once more, and the operation still succeeds.
    assert_eq!(get(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn a_silent_store_is_unreachable_within_its_time() {
    let server = Redis::start().await;
    let proxy = CutProxy::start(server.address()).await;
    let store = redis(&server.url_at(proxy.address()));
    store.put("a", Bytes::from_static(b"x"), MINUTE).await.unwrap();
    proxy.stall();
    let asked = Instant::now();
    assert!(matches!(store.get("a").await, Err(BlobError::Unreachable(_))));
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    proxy.cut();
    proxy.pass();
    assert_eq!(get(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_being_repeated() {
    for url in ["redis://user:s3cret@host:port", "rediss://:s3cret@", "http://s3cret", "s3cret"] {
        let parsed = url.parse().map_err(|error: InvalidUrl| BlobError::Url(error.to_string()));
        let error = parsed
            .and_then(|url| blob::open(&url, &ClientTls::default()))
            .err()
            .unwrap_or_else(|| panic!("{url} is taken"));
        assert!(matches!(error, BlobError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn no_picture_lies_in_the_stores_files() {
    let mut server = Redis::start_persistent().await;
    let sealed = SealedBlobs::new(
        blob::open(&server.url().parse().unwrap(), &ClientTls::default()).unwrap(),
        KeyRing::generate().unwrap(),
    );
    let (key, picture) = (Uuid::now_v7().to_string(), format!("picture of {}", Uuid::now_v7()));
    sealed.put(&key, picture.as_bytes(), MINUTE).await.unwrap();
    assert_eq!(sealed.get(&key).await.unwrap().unwrap(), picture);
    server.stop().await;

    let files = Files::read(server.data_dir());
    assert!(files.contain(&key), "the blob is not in the files, so the test shows nothing");
    assert!(!files.contain(&picture));
}
