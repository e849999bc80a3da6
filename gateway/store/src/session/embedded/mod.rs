//! The session store of a single process: one redb file.
//!
//! **Writing.** One thread writes. Changes that wait together share a transaction and its fsync, and each is answered
//! after that commit only, so what was answered survives `kill -9`. Reads run beside it on what is committed.
//!
//! **Time** is the computer's when the process starts, and what has passed since. A session is looked at by that clock on
//! each read, and what ended is removed by the writer, in order of its end.
//!
//! **Failures.** A change that meets a full disk or another fault of it is not made, or (where the fault struck the very
//! end of the commit) made without an answer, never half. The file is opened anew then, so that the store works again as
//! soon as the disk does. A second process that opens the file is refused.

mod clock;
mod file;
mod once;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redb::ReadTransaction;
use uuid::Uuid;

use self::file::{Failure, File, Opener};
use self::tables::Tables;
use self::writer::Writer;
use super::millis::millis;
use super::{
    Begun, Deletion, Found, Insertion, Lane, LeasedRow, NewRow, Once, SessionName, SessionStore, StoreError,
    StoredSession,
};

/// Sessions and outbox in a file of this process.
pub struct EmbeddedSessions {
    writer: Writer,
    file: Arc<File>,
}

impl EmbeddedSessions {
    /// The store in `data_dir`, which is made where it is missing. A file that was not closed in good order is repaired
    /// first.
    ///
    /// # Errors
    /// [`StoreError::Broken`] where the file cannot be used or another process uses it, [`StoreError::Full`].
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(data_dir).map_err(|error| Failure::from(redb::Error::Io(error)))?;
        Self::start(file::opener(data_dir.join("sessions.redb")))
    }

    fn start(opener: Opener) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(opener)?);
        let writer = Writer::start(file.clone()).map_err(|error| Failure::from(redb::Error::Io(error)))?;
        Ok(Self { writer, file })
    }

    /// Reads on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction, u64) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || file.read(read)).await;
        Ok(read.map_err(|error| StoreError::Broken(error.to_string()))??)
    }
}

impl Drop for EmbeddedSessions {
    fn drop(&mut self) {
        self.writer.end();
        self.file.close();
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::Broken(reason) => Self::Broken(reason),
        }
    }
}

#[async_trait]
impl SessionStore for EmbeddedSessions {
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
    ) -> Result<(), StoreError> {
        let session = session.clone();
        let is_new = self.writer.change(move |tables| tables.create(&session, &body, ttl, &end)).await?;
        if is_new { Ok(()) } else { Err(StoreError::Exists) }
    }

    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| tables::session(transaction, now, &session)).await
    }

    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError> {
        let session = session.clone();
        self.writer.change(move |tables| tables.delete(&session, &end)).await
    }

    async fn set_replay(&self, session: &SessionName, in_progress: bool) -> Result<bool, StoreError> {
        let session = session.clone();
        self.writer.change(move |tables| tables.set_replay(&session, in_progress)).await
    }

    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        most: usize,
    ) -> Result<Insertion, StoreError> {
        let session = session.clone();
        self.writer.change(move |tables| tables.add_face(&session, face, &body, most)).await
    }

    async fn face(&self, session: &SessionName, face: Uuid) -> Result<Found<Bytes>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| tables::face(transaction, now, &session, face)).await
    }

    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| tables::faces(transaction, now, &session)).await
    }

    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError> {
        let (session, faces) = (session.clone(), faces.to_vec());
        self.writer.change(move |tables| tables.delete_faces(&session, &faces, follow_up.as_ref())).await
    }

    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError> {
        let write = move |tables: &mut Tables<'_>| {
            let (rows, now) = tables.rows(lane);
            rows.write(now, &row)
        };
        self.writer.change(write).await
    }

    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        let take = move |tables: &mut Tables<'_>| {
            let (rows, now) = tables.rows(lane);
            rows.lease(now, limit, lease)
        };
        self.writer.change(take).await
    }

    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError> {
        let (lane, id, lease) = (row.lane, row.id, row.lease);
        self.writer.change(move |tables| tables.rows(lane).0.finish(id, lease)).await
    }

    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError> {
        let done: Vec<_> = rows.iter().map(|row| (row.id, row.lease)).collect();
        let finish = move |tables: &mut Tables<'_>| {
            let (rows, _) = tables.rows(lane);
            done.iter()
                .try_fold(0, |finished, &(id, lease)| Ok(finished + usize::from(rows.finish(id, lease)?)))
        };
        self.writer.change(finish).await
    }

    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let (lane, id, lease) = (row.lane, row.id, row.lease);
        let put_back = move |tables: &mut Tables<'_>| {
            let (rows, now) = tables.rows(lane);
            rows.postpone(id, lease, now + millis(wait), body.as_deref())
        };
        self.writer.change(put_back).await
    }

    async fn outbox_depth(&self, lane: Lane) -> Result<u64, StoreError> {
        self.read(move |transaction, _| rows::depth(transaction, lane)).await
    }

    async fn begin(&self, once: &Once) -> Result<Begun<Bytes>, StoreError> {
        let once = *once;
        self.writer.change(move |tables| tables.begin(&once)).await
    }

    async fn end(&self, once: &Once, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let once = *once;
        self.writer.change(move |tables| tables.end(&once, answer.as_deref())).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // Through the writer, which changes nothing, and a read.
        self.writer.change(|_| Ok(())).await?;
        self.outbox_depth(Lane::Sessions).await.map(drop)
    }
}
