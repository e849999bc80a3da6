//! The outbox in Redis.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::cmd;
use uuid::Uuid;

use super::keys::outbox_key;
use super::scripts::{add_row, change_in};
use super::store::{RedisStore, unexpected};
use crate::StoreError;
use crate::millis::millis;
use crate::outbox::{Lane, LeasedRow, ListedRow, NewRow, OutboxStore};

#[async_trait]
impl OutboxStore for RedisStore {
    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError> {
        let mut call = change_in(lane, &self.scripts.enqueue_row);
        add_row(&mut call, &row);
        Ok(self.server.run_script(&call).await?)
    }

    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        let id = Uuid::new_v4();
        let mut call = change_in(lane, &self.scripts.lease_rows);
        call.arg(limit).arg(millis(lease)).arg(id.as_bytes());
        let rows: Vec<(Vec<u8>, u32, Vec<u8>)> = self.server.run_script(&call).await?;
        rows.into_iter()
            .map(|(row, attempt, body)| {
                let row = Uuid::from_slice(&row).map_err(|_| unexpected("a row"))?;
                Ok(LeasedRow { lane, id: row, lease: id, attempt, body: body.into() })
            })
            .collect()
    }

    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError> {
        let mut call = change_in(row.lane, &self.scripts.finish_row);
        call.arg(row.id.as_bytes()).arg(row.lease.as_bytes());
        Ok(self.server.run_script(&call).await?)
    }

    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError> {
        let mut call = change_in(lane, &self.scripts.finish_rows);
        for row in rows {
            call.arg(row.id.as_bytes()).arg(row.lease.as_bytes());
        }
        Ok(self.server.run_script(&call).await?)
    }

    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let mut call = change_in(row.lane, &self.scripts.postpone_row);
        call.arg(row.id.as_bytes()).arg(row.lease.as_bytes()).arg(millis(wait)).arg(body.as_deref());
        Ok(self.server.run_script(&call).await?)
    }

    async fn list(&self, _: Lane, _: usize) -> Result<Vec<ListedRow>, StoreError> {
        todo!()
    }

    async fn transfer(&self, _: Uuid, _: Lane, _: Lane, _: Duration) -> Result<bool, StoreError> {
        todo!()
    }

    async fn depth(&self, lane: Lane) -> Result<u64, StoreError> {
        Ok(self.server.run(cmd("ZCARD").arg(outbox_key(lane, "due"))).await?)
    }
}
