//! The outbox in the file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::store::EmbeddedStore;
use super::tables::outbox;
use crate::StoreError;
use crate::millis::millis;
use crate::outbox::{Lane, LeasedRow, ListedRow, NewRow, OutboxStore};

#[async_trait]
impl OutboxStore for EmbeddedStore {
    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError> {
        let write = self.change(move |tables| {
            let (rows, now) = tables.outbox(lane);
            rows.write(now, &row)
        });
        write.await
    }

    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        let take = self.change(move |tables| {
            let (rows, now) = tables.outbox(lane);
            rows.lease(now, limit, lease)
        });
        take.await
    }

    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError> {
        let (lane, id, lease) = (row.lane, row.id, row.lease);
        self.change(move |tables| tables.outbox(lane).0.finish(id, lease)).await
    }

    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError> {
        let done: Vec<_> = rows.iter().map(|row| (row.id, row.lease)).collect();
        let finish = self.change(move |tables| {
            let (rows, _) = tables.outbox(lane);
            done.iter()
                .try_fold(0, |finished, &(id, lease)| Ok(finished + usize::from(rows.finish(id, lease)?)))
        });
        finish.await
    }

    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let (lane, id, lease) = (row.lane, row.id, row.lease);
        let put_back = self.change(move |tables| {
            let (rows, now) = tables.outbox(lane);
            rows.postpone(id, lease, now + millis(wait), body.as_deref())
        });
        put_back.await
    }

    async fn list(&self, _: Lane, _: usize) -> Result<Vec<ListedRow>, StoreError> {
        todo!()
    }

    async fn transfer(&self, _: Uuid, _: Lane, _: Lane, _: Duration) -> Result<bool, StoreError> {
        todo!()
    }

    async fn depth(&self, lane: Lane) -> Result<u64, StoreError> {
        self.read(move |transaction, _| outbox::depth(transaction, lane)).await
    }
}
