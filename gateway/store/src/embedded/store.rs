//! The store itself: its file, its writing thread, and its health.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use redb::ReadTransaction;

use super::failure::{FileFailure, TableResult};
use super::file::{self, File, Opener};
use super::tables::{self, Tables};
use super::writer::Writer;
use crate::outbox::Lane;
use crate::{StoreError, StoreHealth};

/// Sessions, outbox and idempotency records in a file of this process.
pub struct EmbeddedStore {
    writer: Writer,
    file: Arc<File>,
}

impl EmbeddedStore {
    /// Opens the store in `data_dir`, which is created if it does not exist. A file that was not closed properly is repaired
    /// first.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if the file cannot be used or another process uses it, [`StoreError::Full`] if the disk
    /// is full.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(data_dir).map_err(|error| FileFailure::from(redb::Error::Io(error)))?;
        Self::start(file::opener(data_dir.join("sessions.redb")))
    }

    pub(super) fn start(opener: Opener) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(opener)?);
        let writer =
            Writer::start(file.clone()).map_err(|error| FileFailure::from(redb::Error::Io(error)))?;
        Ok(Self { writer, file })
    }

    /// Reads on a thread that may block on the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction, u64) -> TableResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || file.read(read)).await;
        Ok(read.map_err(|error| StoreError::Broken(error.to_string()))??)
    }

    /// Makes a change, and returns when it is on the disk.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> TableResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.change(change).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.writer.end();
        self.file.close();
    }
}

#[async_trait]
impl StoreHealth for EmbeddedStore {
    async fn check(&self) -> Result<(), StoreError> {
        // An empty change passes through the writer, and a read through the file.
        self.change(|_| Ok(())).await?;
        self.read(|transaction, _| tables::outbox::depth(transaction, Lane::Sessions)).await.map(drop)
    }
}
