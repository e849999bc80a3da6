//! The transactional outbox: work that follows a change, stored in the same transaction as the change.
//!
//! A gateway leases rows that are due, does their work, and removes them. If it dies in between, the lease ends and
//! another gateway does the work again (at-least-once), so the work of a row must be idempotent.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::StoreError;

/// A kind of rows. Lanes are stored, leased and counted separately, so many rows of one lane do not delay another lane.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Work that follows a change of a session.
    Sessions,
    /// Usage records on their way to the object store.
    Usage,
    /// Jobs of replays to be published, and replays to be ended when their time is over.
    Replays,
    /// Callbacks to be sent.
    Callbacks,
    /// Callbacks that no receiver accepted before their session ended. They are due when their retention is over.
    DeadCallbacks,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 5] =
        [Self::Sessions, Self::Usage, Self::Replays, Self::Callbacks, Self::DeadCallbacks];
}

/// A row to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRow {
    /// The row's id. If the outbox has a row of this id, the new row replaces it, and its lease ends.
    pub id: Uuid,
    /// The work to be done, sealed.
    pub body: Bytes,
    /// Time from now, by the store's clock, after which the row is due.
    pub due_in: Duration,
}

/// A row that this process may work on until the lease ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedRow {
    /// The row's lane.
    pub lane: Lane,
    /// The row's id.
    pub id: Uuid,
    /// Id of this lease; each lease of a row has another one.
    pub lease: Uuid,
    /// Number of times that the row has been leased, including this lease.
    pub attempt: u32,
    /// The work to be done, sealed.
    pub body: Bytes,
}

/// A row that was listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedRow {
    /// The row's id.
    pub id: Uuid,
    /// Number of times that the row has been leased.
    pub attempts: u32,
    /// Time until the row is due, or its lease ends; zero if it is due.
    pub due_in: Duration,
    /// The work to be done, sealed.
    pub body: Bytes,
}

/// Port of the outbox. Each operation is atomic.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Writes a row that follows no change of a session. It replaces a row of the same id.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError>;

    /// Leases up to `limit` due rows of a lane, those that have been due longest first. They cannot be leased again
    /// until `lease` has passed.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError>;

    /// Removes a row whose work is done. Returns false if the row now has another lease, so another process works on
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError>;

    /// Removes several rows of one lane as [`OutboxStore::finish`] does, and returns the number of removed rows.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError>;

    /// Ends the lease of a row and makes the row due again after `wait`, with `body` as its new body if there is one.
    /// Returns false as [`OutboxStore::finish`] does.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError>;

    /// Lists up to `limit` rows of a lane without leasing them, those that have been due longest first.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn list(&self, lane: Lane, limit: usize) -> Result<Vec<ListedRow>, StoreError>;

    /// Moves a row with its body to another lane, where it is due after `due_in`, has no attempts, and replaces a row
    /// of the same id. Its lease ends. Returns false if there is no such row.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn transfer(&self, id: Uuid, from: Lane, to: Lane, due_in: Duration) -> Result<bool, StoreError>;

    /// Removes a row, even if it is leased. Returns false if there is no such row.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn remove(&self, lane: Lane, id: Uuid) -> Result<bool, StoreError>;

    /// Number of rows in a lane, due or not.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn depth(&self, lane: Lane) -> Result<u64, StoreError>;
}
