//! The database file: opening it, using it, and opening it again after a failure.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase};

use super::clock::Clock;
use super::failure::{FileFailure, TableResult};
use super::tables::Tables;

/// Memory in which redb caches pages of the file.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the database.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// Opens the database at `path`, whose file only its owner can read.
pub(super) fn opener(path: PathBuf) -> Opener {
    Box::new(move || {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        open(FileBackend::new(file)?)
    })
}

/// Opens the database in `storage`. It checks the whole database, because redb may panic later on a damaged page.
pub(super) fn open(storage: impl redb::StorageBackend) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(storage)
}

/// The database and its clock. After a disk error redb refuses all work until the database is opened again.
pub(super) struct File {
    opener: Opener,
    database: RwLock<Result<Database, FileFailure>>,
    clock: Clock,
}

impl File {
    pub(super) fn open(opener: Opener) -> Result<Self, FileFailure> {
        let database = opener().map_err(redb::Error::from)?;
        let file = Self { opener, database: RwLock::new(Ok(database)), clock: Clock::new() };
        // Reads expect the tables to exist.
        file.write(|tables| {
            tables.must_commit = true;
            Ok(())
        })?;
        Ok(file)
    }

    /// Reads from the last commit. `read` also gets the time.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction, u64) -> TableResult<T>,
    ) -> Result<T, FileFailure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().map_err(Clone::clone)?.begin_read().map_err(redb::Error::from)?;
        Ok(read(&transaction, self.clock.now())?)
    }

    /// Makes a change, and returns when it is on the disk. After an error nothing has changed. The one exception is
    /// an error at the end of the commit, after which the whole change may have been made.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&mut Tables<'_>) -> TableResult<T>,
    ) -> Result<T, FileFailure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            database.as_ref().map_err(Clone::clone)?.begin_write().map_err(redb::Error::from)?;
        let mut tables = Tables::open(&transaction, &self.clock)?;
        let written = write(&mut tables)?;
        let changed = tables.has_changed();
        drop(tables);
        if changed {
            transaction.commit().map_err(redb::Error::from)?;
        } else {
            transaction.abort().map_err(redb::Error::from)?;
        }
        Ok(written)
    }

    /// Opens the database again, once all reads have ended.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Dropping the old database releases the lock on the file.
        *database = Err(FileFailure::Broken("its file is being opened".into()));
        *database = (self.opener)().map_err(|error| redb::Error::from(error).into());
    }

    /// Closes the database, once all reads have ended.
    pub(super) fn close(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = Err(FileFailure::Broken("it is closed".into()));
    }
}
