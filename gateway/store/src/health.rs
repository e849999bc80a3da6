//! The health check of a store.

use async_trait::async_trait;

use crate::StoreError;

/// Port of the health check.
#[async_trait]
pub trait StoreHealth: Send + Sync {
    /// Checks that the store answers, takes writes and is configured never to drop records on its own.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] without an answer and at a replica, [`StoreError::Full`] if the store is full,
    /// [`StoreError::Unfit`] if the server refuses the credentials, [`StoreError::Evicts`] with another eviction
    /// policy than `noeviction`, [`StoreError::Broken`] with an unusable file.
    async fn check(&self) -> Result<(), StoreError>;
}
