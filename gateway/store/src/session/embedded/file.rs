//! The file: opened, used, and opened anew after a fault.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase};

use super::clock::Clock;
use super::tables::Tables;

/// Memory for pages of the file.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the database.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// Why the file cannot do what it is asked.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The disk has no room.
    Full,
    /// Everything else.
    Broken(String),
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
                ) =>
            {
                Self::Full
            }
            redb::Error::DatabaseAlreadyOpen => Self::Broken("another process uses its file".into()),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// The database at `path`, readable by its owner only.
pub(super) fn opener(path: PathBuf) -> Opener {
    Box::new(move || {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        open(FileBackend::new(file)?)
    })
}

/// The database in `storage`. It is checked as a whole, since redb may panic later on pages that it trusted.
pub(super) fn open(storage: impl redb::StorageBackend) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(storage)
}

/// The database and its clock. After a fault of the disk redb does nothing more until it is opened again.
pub(super) struct File {
    opener: Opener,
    database: RwLock<Result<Database, Failure>>,
    clock: Clock,
}

impl File {
    pub(super) fn open(opener: Opener) -> Result<Self, Failure> {
        let database = opener().map_err(redb::Error::from)?;
        let file = Self { opener, database: RwLock::new(Ok(database)), clock: Clock::new() };
        // Reads expect the tables to be there.
        file.write(|tables| {
            tables.changed = true;
            Ok(())
        })?;
        Ok(file)
    }

    /// Reads from the latest commit. `read` is told the time.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction, u64) -> Result<T, redb::Error>,
    ) -> Result<T, Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().map_err(Clone::clone)?.begin_read().map_err(redb::Error::from)?;
        Ok(read(&transaction, self.clock.now())?)
    }

    /// Makes a change, and returns when it is on the disk. Only where it fails nothing (or, by bad luck, all) has changed.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, Failure> {
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

    /// Opens the database anew, once nobody reads any more.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The lock on the file goes with the old one.
        *database = Err(Failure::Broken("its file is being opened".into()));
        *database = (self.opener)().map_err(|error| redb::Error::from(error).into());
    }

    /// Closes the database, once nobody reads any more.
    pub(super) fn close(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = Err(Failure::Broken("it is closed".into()));
    }
}
