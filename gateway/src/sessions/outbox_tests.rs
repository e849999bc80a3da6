//! Tests of the delays after which failed rows are retried.

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::outbox::{LeasedRow, ListedRow, NewRow, OutboxStore};
use faceline_gateway_store::sealed::UnsealedRow;
use faceline_shared::object::{ObjectStore, ObjectStream, ObjectUpload};
use faceline_shared::seal::KeyRing;
use faceline_shared::telemetry::Metrics;
use uuid::Uuid;

use super::*;

/// An outbox whose rows are all due, in their `attempt`th lease. It records the delays by which they are postponed.
struct NotingOutbox {
    attempt: u32,
    rows: Mutex<Vec<NewRow>>,
    waits: Mutex<Vec<Duration>>,
}

#[async_trait]
impl OutboxStore for NotingOutbox {
    async fn enqueue(&self, _: Lane, row: NewRow) -> Result<(), StoreError> {
        self.rows.lock().unwrap().push(row);
        Ok(())
    }

    async fn lease(&self, lane: Lane, limit: usize, _: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let count = limit.min(rows.len());
        let lease = |row: NewRow| LeasedRow {
            lane,
            id: row.id,
            lease: Uuid::new_v4(),
            attempt: self.attempt,
            body: row.body,
        };
        Ok(rows.drain(..count).map(lease).collect())
    }

    async fn finish(&self, _: &LeasedRow) -> Result<bool, StoreError> {
        panic!("a row is finished although its work fails")
    }

    async fn finish_all(&self, _: Lane, _: &[LeasedRow]) -> Result<usize, StoreError> {
        panic!("rows are finished although their work fails")
    }

    async fn postpone(&self, _: &LeasedRow, wait: Duration, _: Option<Bytes>) -> Result<bool, StoreError> {
        self.waits.lock().unwrap().push(wait);
        Ok(true)
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

    async fn depth(&self, _: Lane) -> Result<u64, StoreError> {
        Ok(self.rows.lock().unwrap().len() as u64)
    }
}

/// An object store that is unreachable.
struct UnreachableObjects;

fn unreachable<T>() -> Result<T, ObjectError> {
    Err(ObjectError::Unreachable("on purpose".into()))
}

#[async_trait]
impl ObjectStore for UnreachableObjects {
    async fn put(&self, _: &str, _: Bytes) -> Result<(), ObjectError> {
        unreachable()
    }

    async fn begin_upload(&self, _: &str, _: Option<&str>) -> Result<Box<dyn ObjectUpload>, ObjectError> {
        unreachable()
    }

    async fn open(&self, _: &str) -> Result<Option<ObjectStream>, ObjectError> {
        unreachable()
    }

    async fn get(&self, _: &str) -> Result<Option<Bytes>, ObjectError> {
        unreachable()
    }

    async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        unreachable()
    }

    async fn delete_all(&self, _: &str) -> Result<usize, ObjectError> {
        unreachable()
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, ObjectError> {
        unreachable()
    }

    async fn folders(&self, _: &str) -> Result<Vec<String>, ObjectError> {
        unreachable()
    }

    async fn check(&self) -> Result<(), ObjectError> {
        unreachable()
    }
}

/// The delays of rows that fail together in their `attempt`th lease.
async fn delays(attempt: u32) -> Vec<Duration> {
    let ring = KeyRing::generate().unwrap();
    let store = Arc::new(NotingOutbox { attempt, rows: Mutex::default(), waits: Mutex::default() });
    let outbox = SealedOutbox::new(store.clone(), ring.clone());
    for _ in 0..TERMS.slots {
        let payload = FollowUp::DeletePictures { session: Uuid::new_v4(), faces: vec![Uuid::new_v4()] };
        let row = UnsealedRow { id: Uuid::new_v4(), payload, due_in: Duration::ZERO };
        outbox.enqueue(Lane::Sessions, &row).await.unwrap();
    }
    let metrics = SessionMetrics::new(&Metrics::new());
    let rows = SessionRows {
        pictures: SealedObjects::new(Arc::new(UnreachableObjects), ring),
        last_upload_after_end: Duration::ZERO,
        metrics: metrics.clone(),
    };
    let worker = LaneWorker::new(TERMS, outbox, Arc::default(), rows, metrics.outbox);
    let end = CancellationToken::new();
    let running = tokio::spawn(worker.run(end.clone()));
    while store.waits.lock().unwrap().len() < TERMS.slots {
        tokio::task::yield_now().await;
    }
    end.cancel();
    running.await.unwrap();
    std::mem::take(&mut *store.waits.lock().unwrap())
}

#[tokio::test]
async fn failed_rows_are_retried_after_1_s_doubling_to_60_s_and_not_in_step() {
    for (attempt, longest) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (1000, 60)] {
        let longest = Duration::from_secs(longest);
        let delays = delays(attempt).await;
        assert_eq!(delays.len(), TERMS.slots);
        for delay in &delays {
            assert!((longest / 2..=longest).contains(delay), "attempt {attempt}: {delay:?}");
        }
        let distinct: BTreeSet<_> = delays.iter().collect();
        assert!(distinct.len() > TERMS.slots / 2, "attempt {attempt}: {delays:?}");
    }
}
