//! The sealing layer of the outbox.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::seal::{KeyRing, Purpose};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::RecordError;
use super::sealer::RecordSealer;
use crate::outbox::{Lane, LeasedRow, ListedRow, NewRow, OutboxStore};

/// A row to be sealed and written.
#[derive(Clone, Debug)]
pub struct UnsealedRow<R> {
    /// The row's id, as in [`NewRow::id`].
    pub id: Uuid,
    /// The work to be done.
    pub payload: R,
    /// Time from now after which the row is due, as in [`NewRow::due_in`].
    pub due_in: Duration,
}

impl<R: Serialize> UnsealedRow<R> {
    pub(super) fn seal(&self, sealer: &RecordSealer) -> Result<NewRow, RecordError> {
        let body = sealer.seal(Purpose::Row, row_associated_data(self.id), &self.payload)?;
        Ok(NewRow { id: self.id, body, due_in: self.due_in })
    }
}

/// A leased row with its payload opened.
#[derive(Debug)]
pub struct OpenedRow<R> {
    /// The work to be done, or the reason why it cannot be read.
    pub payload: Result<R, RecordError>,
    /// The lease, for [`SealedOutbox::finish`] and [`SealedOutbox::postpone`].
    pub leased: LeasedRow,
}

/// A listed row with its payload opened.
#[derive(Debug)]
pub struct OpenedListedRow<R> {
    /// As [`ListedRow::id`].
    pub id: Uuid,
    /// As [`ListedRow::attempts`].
    pub attempts: u32,
    /// As [`ListedRow::due_in`].
    pub due_in: Duration,
    /// The work to be done, or the reason why it cannot be read.
    pub payload: Result<R, RecordError>,
}

/// An outbox whose rows are sealed.
#[derive(Clone)]
pub struct SealedOutbox {
    store: Arc<dyn OutboxStore>,
    sealer: RecordSealer,
}

impl SealedOutbox {
    /// Wraps `store`, and seals with `ring`.
    #[must_use]
    pub fn new(store: Arc<dyn OutboxStore>, ring: KeyRing) -> Self {
        Self { store, sealer: RecordSealer::new(ring) }
    }

    /// Writes a row, as [`OutboxStore::enqueue`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the row cannot be sealed.
    pub async fn enqueue(&self, lane: Lane, row: &UnsealedRow<impl Serialize>) -> Result<(), RecordError> {
        Ok(self.store.enqueue(lane, row.seal(&self.sealer)?).await?)
    }

    /// Seals a row that is written later with [`Self::enqueue_sealed`].
    ///
    /// # Errors
    /// [`RecordError::Encode`] and [`RecordError::Seal`] if the row cannot be sealed.
    pub fn seal(&self, row: &UnsealedRow<impl Serialize>) -> Result<NewRow, RecordError> {
        row.seal(&self.sealer)
    }

    /// Writes a row that [`Self::seal`] sealed, as [`OutboxStore::enqueue`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn enqueue_sealed(&self, lane: Lane, row: NewRow) -> Result<(), RecordError> {
        Ok(self.store.enqueue(lane, row).await?)
    }

    /// Leases rows, as [`OutboxStore::lease`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]. A row that does not open is returned with its error as the payload.
    pub async fn lease<R: DeserializeOwned>(
        &self,
        lane: Lane,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<OpenedRow<R>>, RecordError> {
        let rows = self.store.lease(lane, limit, lease).await?;
        let open = |leased: LeasedRow| OpenedRow {
            payload: self.sealer.open(Purpose::Row, row_associated_data(leased.id), leased.body.clone()),
            leased,
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Removes a row whose work is done, as [`OutboxStore::finish`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn finish(&self, row: &LeasedRow) -> Result<bool, RecordError> {
        Ok(self.store.finish(row).await?)
    }

    /// Removes rows whose work is done, as [`OutboxStore::finish_all`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, RecordError> {
        Ok(self.store.finish_all(lane, rows).await?)
    }

    /// Ends the lease of a row and makes the row due again, as [`OutboxStore::postpone`] does. A `payload` replaces the
    /// row's own and is sealed with the current key.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the payload cannot be sealed.
    pub async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        payload: Option<&impl Serialize>,
    ) -> Result<bool, RecordError> {
        let seal = |payload| self.sealer.seal(Purpose::Row, row_associated_data(row.id), payload);
        let body = payload.map(seal).transpose()?;
        Ok(self.store.postpone(row, wait, body).await?)
    }

    /// Lists rows, as [`OutboxStore::list`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]. A row that does not open is returned with its error as the payload.
    pub async fn list<R: DeserializeOwned>(
        &self,
        lane: Lane,
        limit: usize,
    ) -> Result<Vec<OpenedListedRow<R>>, RecordError> {
        let rows = self.store.list(lane, limit).await?;
        let open = |ListedRow { id, attempts, due_in, body }| OpenedListedRow {
            id,
            attempts,
            due_in,
            payload: self.sealer.open(Purpose::Row, row_associated_data(id), body),
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Moves a row to another lane, as [`OutboxStore::transfer`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn transfer(
        &self,
        id: Uuid,
        from: Lane,
        to: Lane,
        due_in: Duration,
    ) -> Result<bool, RecordError> {
        Ok(self.store.transfer(id, from, to, due_in).await?)
    }

    /// Removes a row, as [`OutboxStore::remove`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn remove(&self, lane: Lane, id: Uuid) -> Result<bool, RecordError> {
        Ok(self.store.remove(lane, id).await?)
    }

    /// Number of rows in a lane, as [`OutboxStore::depth`] counts them.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn depth(&self, lane: Lane) -> Result<u64, RecordError> {
        Ok(self.store.depth(lane).await?)
    }
}

fn row_associated_data(row: Uuid) -> String {
    format!("sessions/row/{row}")
}
