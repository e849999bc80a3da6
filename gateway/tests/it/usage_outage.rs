//! Usage records while the session store is unavailable, and of callers that disconnect.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::usage::UsageRecord;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::outbox::{Lane, LeasedRow, ListedRow, NewRow, OutboxStore};
use faceline_shared::settings::Settings;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::{form, request, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

const CAPABILITIES: &str = "GET /bioserver-app/v2/capabilities";
const SELFIE: [(&str, &[u8]); 2] = [("imageType", b"SELFIE"), ("image", b"x")];

/// An outbox that can be unavailable, or wait before it accepts a row.
struct FlakyOutbox {
    inner: Arc<dyn OutboxStore>,
    away: AtomicBool,
    /// A row takes a permit before it is written.
    permits: Semaphore,
    attempts: AtomicUsize,
}

impl FlakyOutbox {
    /// Puts such an outbox in front of the outbox of `stores`.
    fn put_into(stores: &mut Stores, away: bool) -> Arc<Self> {
        let outbox = Arc::new(Self {
            inner: Arc::clone(&stores.store.outbox),
            away: AtomicBool::new(away),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
            attempts: AtomicUsize::new(0),
        });
        stores.store.outbox = outbox.clone();
        outbox
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unreachable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl OutboxStore for FlakyOutbox {
    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.permits.acquire().await.unwrap().forget();
        self.reach()?;
        self.inner.enqueue(lane, row).await
    }

    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        self.reach()?;
        self.inner.lease(lane, limit, lease).await
    }

    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError> {
        self.reach()?;
        self.inner.finish(row).await
    }

    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError> {
        self.reach()?;
        self.inner.finish_all(lane, rows).await
    }

    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        self.reach()?;
        self.inner.postpone(row, wait, body).await
    }

    async fn list(&self, _: Lane, _: usize) -> Result<Vec<ListedRow>, StoreError> {
        panic!("nothing lists rows")
    }

    async fn transfer(&self, _: Uuid, _: Lane, _: Lane, _: Duration) -> Result<bool, StoreError> {
        panic!("nothing moves rows")
    }

    async fn remove(&self, _: Lane, _: Uuid) -> Result<bool, StoreError> {
        panic!("nothing removes rows")
    }

    async fn depth(&self, lane: Lane) -> Result<u64, StoreError> {
        self.reach()?;
        self.inner.depth(lane).await
    }
}

/// The records in the object store by their requests. Panics if a request has two.
async fn records(stores: &Stores) -> BTreeMap<String, UsageRecord> {
    let objects = stores.sealed_objects();
    let mut records: BTreeMap<String, UsageRecord> = BTreeMap::new();
    for key in objects.list("usage").await.unwrap() {
        let bytes = objects.get("usage", &key).await.unwrap().unwrap();
        for record in rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap() {
            let request = record.request.clone().unwrap();
            if let Some(other) = records.insert(request, record.clone()) {
                assert_eq!(other.id, record.id, "two records of one request");
            }
        }
    }
    records
}

/// A gateway that moves records at once and keeps deferred ones in `folder`.
async fn gateway(
    stores: &Stores,
    workers: Arc<Workers>,
    folder: &Path,
    change: impl FnOnce(&mut Settings),
) -> Gateway {
    Gateway::over(stores.clone(), workers, |config| {
        config.usage.interval = Duration::from_millis(50);
        config.data_dir = folder.to_owned();
        change(config);
    })
    .await
}

/// Sends requests, each of which has a record, and returns the longest response time.
async fn ask(gateway: &Gateway, numbers: std::ops::Range<usize>) -> Duration {
    let mut longest = Duration::ZERO;
    for number in numbers {
        let headers = [("apikey", "demo"), ("X-Request-Id", &*format!("request-{number}"))];
        let started = Instant::now();
        assert_eq!(send(gateway.address, CAPABILITIES, &headers, b"").await.status, 200);
        longest = longest.max(started.elapsed());
    }
    longest
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.metrics.encode();
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    line.trim().parse().unwrap()
}

fn counted(gateway: &Gateway, outcome: &str) -> u64 {
    metric(gateway, &format!("faceline_usage_records_total{{outcome=\"{outcome}\"}}"))
}

#[tokio::test]
async fn deferred_records_arrive_once_the_store_is_back() {
    let (mut stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let outbox = FlakyOutbox::put_into(&mut stores, true);
    let gateway = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    let longest = ask(&gateway, 0..300).await;
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    // Not every deferral tries the store.
    let attempts = outbox.attempts.load(Ordering::Relaxed);
    assert!(attempts < 20, "{attempts} attempts");
    assert_eq!((counted(&gateway, "deferred"), counted(&gateway, "written")), (300, 0));
    assert_eq!(metric(&gateway, "faceline_usage_deferred_records"), 300);
    assert!(metric(&gateway, "faceline_usage_deferred_bytes") > 300 * 100);

    outbox.away.store(false, Ordering::Relaxed);
    gateway.until(async || records(&stores).await.len() == 300).await;
    assert_eq!((counted(&gateway, "delivered"), counted(&gateway, "lost")), (300, 0));
    assert_eq!(metric(&gateway, "faceline_usage_deferred_records"), 0);
    assert_eq!(metric(&gateway, "faceline_usage_deferred_bytes"), 0);
    assert_eq!(std::fs::read_dir(folder.path().join("usage-deferred")).unwrap().count(), 0);
    // The store is used again.
    ask(&gateway, 300..310).await;
    assert_eq!(counted(&gateway, "deferred"), 300);
    gateway.until(async || records(&stores).await.len() == 310).await;
}

#[tokio::test]
async fn deferred_records_survive_the_process() {
    let (mut stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let outbox = FlakyOutbox::put_into(&mut stores, true);
    let first = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    ask(&first, 0..50).await;
    // A second process in the same folder leaves the files of the first one alone.
    let second = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    ask(&second, 50..60).await;
    assert_eq!(metric(&second, "faceline_usage_deferred_records"), 10);
    // The file does not reveal its content.
    for file in std::fs::read_dir(folder.path().join("usage-deferred")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, b"request-").is_none());
    }
    for gateway in [first, second] {
        gateway.shutdown.cancel();
        gateway.until(async || gateway.mover_has_ended()).await;
        assert_eq!(counted(&gateway, "lost"), 0);
    }
    // Simulates a crash that left half of a record.
    let files = std::fs::read_dir(folder.path().join("usage-deferred")).unwrap();
    let file = files.map(|file| file.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_within(..20);
    std::fs::write(&file, bytes).unwrap();

    outbox.away.store(false, Ordering::Relaxed);
    let next = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    next.until(async || records(&stores).await.len() == 60).await;
    next.until(async || metric(&next, "faceline_usage_deferred_records") == 0).await;
    assert_eq!(std::fs::read_dir(folder.path().join("usage-deferred")).unwrap().count(), 0);
}

#[tokio::test]
async fn records_wait_in_memory_if_the_disk_fails() {
    let (mut stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let outbox = FlakyOutbox::put_into(&mut stores, true);
    std::fs::write(folder.path().join("usage-deferred"), b"no folder").unwrap();
    let gateway = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    ask(&gateway, 0..20).await;
    assert_eq!((metric(&gateway, "faceline_usage_deferred_records"), counted(&gateway, "lost")), (20, 0));
    outbox.away.store(false, Ordering::Relaxed);
    gateway.until(async || records(&stores).await.len() == 20).await;
}

#[tokio::test]
async fn what_does_not_fit_is_counted_as_lost_and_the_store_is_tried_again() {
    let (mut stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let outbox = FlakyOutbox::put_into(&mut stores, true);
    let gateway =
        gateway(&stores, Workers::able(), folder.path(), |config| config.usage.deferred_bytes = 2000).await;
    ask(&gateway, 0..20).await;
    let kept = metric(&gateway, "faceline_usage_deferred_records");
    assert!((1..10).contains(&kept), "{kept}");
    assert_eq!(counted(&gateway, "lost"), 20 - kept);
    outbox.away.store(false, Ordering::Relaxed);
    gateway.until(async || metric(&gateway, "faceline_usage_deferred_records") == 0).await;
    ask(&gateway, 20..25).await;
    gateway.until(async || records(&stores).await.len() as u64 == kept + 5).await;
}

/// Sends a request, and closes the connection when `is_time` completes.
async fn leaves(gateway: &Gateway, id: &str, path: &str, is_time: impl Future<Output = ()>) {
    let headers =
        [("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b"), ("X-Request-Id", id)];
    let bytes = request(&format!("POST {path}"), &headers, &form(&SELFIE));
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    is_time.await;
    drop(stream);
}

#[tokio::test]
async fn who_leaves_during_the_job_is_recorded_as_such() {
    let (stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let gateway = gateway(&stores, Workers::held(), folder.path(), |_| ()).await;
    leaves(&gateway, "gone", "/bioserver-app/v2/faces", gateway.workers.arrived.notified()).await;
    gateway.workers.given_up.notified().await;
    gateway.until(async || records(&stores).await.len() == 1).await;
    let record = records(&stores).await.remove("gone").unwrap();
    assert_eq!((record.status, &*record.outcome, &*record.operation), (499, "caller_left", "create_face"));
    assert_eq!(record.job, Some(gateway.workers.jobs.lock().unwrap()[0].id));
}

#[tokio::test]
async fn who_leaves_after_the_work_is_recorded_as_such() {
    let (stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let gateway = gateway(&stores, Workers::able(), folder.path(), |config| {
        // The records are moved only after the held object.
        config.usage.interval = Duration::from_secs(3600);
    })
    .await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    stores.objects.puts.forget_permits(Semaphore::MAX_PERMITS);
    // The job is done, and the picture of the face is being uploaded to the object store.
    let path = format!("{SESSIONS}/{session}/faces");
    leaves(&gateway, "gone", &path, stores.objects.put_begun.notified()).await;
    gateway.until(async || counted(&gateway, "written") == 2).await;
    stores.objects.puts.add_permits(1000);
    gateway.shutdown.cancel();
    gateway.until(async || records(&stores).await.contains_key("gone")).await;
    let record = records(&stores).await.remove("gone").unwrap();
    assert_eq!((record.status, &*record.outcome), (499, "caller_left_after_work"));
    assert_eq!(record.session, Some(session));
    assert!(record.job.is_some());
}

#[tokio::test]
async fn who_leaves_while_the_record_is_written_has_the_record_of_the_answer() {
    let (mut stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let outbox = FlakyOutbox::put_into(&mut stores, false);
    let gateway = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    outbox.permits.forget_permits(Semaphore::MAX_PERMITS);
    let begun = async {
        gateway.until(async || outbox.attempts.load(Ordering::Relaxed) == 1).await;
    };
    leaves(&gateway, "gone", "/bioserver-app/v2/faces", begun).await;
    // The record is written or deferred when the time for writing it is over.
    gateway.until(async || counted(&gateway, "deferred") == 1).await;
    outbox.permits.add_permits(1000);
    gateway.until(async || records(&stores).await.len() == 1).await;
    let record = records(&stores).await.remove("gone").unwrap();
    assert_eq!((record.status, &*record.outcome), (200, "ok"));
}

#[tokio::test]
async fn who_leaves_before_the_body_is_there_has_no_record() {
    let (stores, folder) = (Stores::new(), TempDir::new().unwrap());
    let gateway = gateway(&stores, Workers::able(), folder.path(), |_| ()).await;
    let headers = [("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")];
    let mut bytes = request("POST /bioserver-app/v2/faces", &headers, &form(&SELFIE));
    bytes.truncate(bytes.len() - 5);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    drop(stream);
    let left = r#"faceline_http_requests_total{operation="create_face",status="#;
    gateway.until(async || gateway.metrics.encode().contains(left)).await;
    ask(&gateway, 0..1).await;
    gateway.until(async || !records(&stores).await.is_empty()).await;
    let found: Vec<_> = records(&stores).await.into_values().map(|record| record.outcome).collect();
    assert!(!found.contains(&"caller_left".to_owned()), "{found:?}");
}
