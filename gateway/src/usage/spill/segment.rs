//! A segment: rows in a file, or in memory if the disk fails.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use faceline_gateway_store::idempotency::digest;
use faceline_gateway_store::outbox::NewRow;
use uuid::Uuid;

use super::waiting::Waiting;

/// Bytes of a row's length and digest, and of its id.
const HEADER_BYTES: usize = 4 + CHECK_BYTES + 16;
/// Bytes of the digest of a row. It detects a row that a crash left incomplete; the seal protects against forgery.
const CHECK_BYTES: usize = 8;
/// Maximum size of a row's body. A larger one is a sign of damage.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Bytes that a row takes in a segment.
pub(super) fn frame_bytes(row: &NewRow) -> usize {
    HEADER_BYTES + row.body.len()
}

fn check(id: Uuid, body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest([id.as_bytes().as_slice(), body])[..CHECK_BYTES]);
    check
}

/// Writes a row to the end of `frames`.
fn write_frame(frames: &mut Vec<u8>, row: &NewRow) {
    frames.extend_from_slice(&(row.body.len() as u32).to_be_bytes());
    frames.extend_from_slice(&check(row.id, &row.body));
    frames.extend_from_slice(row.id.as_bytes());
    frames.extend_from_slice(&row.body);
}

/// Reads the rows in `bytes`, up to the first incomplete or damaged one. Also returns the number of unread bytes.
fn read_frames(mut bytes: Bytes) -> (Vec<NewRow>, usize) {
    let mut rows = Vec::new();
    while bytes.len() >= HEADER_BYTES {
        let mut frame = bytes.clone();
        let length = frame.get_u32() as usize;
        let expected = frame.split_to(CHECK_BYTES);
        let id = Uuid::from_u128(frame.get_u128());
        if length > MAX_BODY_BYTES || length > frame.len() {
            break;
        }
        let body = frame.split_to(length);
        if check(id, &body) != expected[..] {
            break;
        }
        rows.push(NewRow { id, body, due_in: Duration::ZERO });
        bytes = frame;
    }
    (rows, bytes.len())
}

/// A segment that is being written.
pub(super) struct OpenSegment {
    file: File,
    path: PathBuf,
    rows: usize,
    bytes: usize,
}

impl OpenSegment {
    /// Creates a segment in `folder`, which is created if it does not exist.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.rows", Uuid::now_v7()));
        let file = OpenOptions::new().create_new(true).read(true).append(true).mode(0o600).open(&path)?;
        file.try_lock()?;
        File::open(folder)?.sync_all()?;
        Ok(Self { file, path, rows: 0, bytes: 0 })
    }

    /// Writes rows, and returns when they are on the disk.
    pub(super) fn append(&mut self, rows: &[NewRow]) -> io::Result<()> {
        let mut frames = Vec::new();
        rows.iter().for_each(|row| write_frame(&mut frames, row));
        let written = self.file.write_all(&frames).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // An incomplete row would make all rows after it unreadable.
            self.file.set_len(self.bytes as u64)?;
            return Err(error);
        }
        self.bytes += frames.len();
        self.rows += rows.len();
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deletes the file of a segment without rows.
    pub(super) fn discard(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "an empty file of deferred usage records cannot be deleted");
        }
    }

    pub(super) fn close(self, waiting: Arc<Waiting>) -> Segment {
        let rows = Vec::new();
        Segment { file: Some((self.file, self.path)), rows, count: self.rows, bytes: self.bytes, waiting }
    }
}

/// A closed segment.
pub(in crate::usage) struct Segment {
    /// The locked file and its path; `None` for a segment in memory.
    file: Option<(File, PathBuf)>,
    /// The rows of a segment in memory, or of a file that was read.
    rows: Vec<NewRow>,
    /// Number of rows.
    count: usize,
    /// Size of the rows.
    bytes: usize,
    waiting: Arc<Waiting>,
}

impl Segment {
    pub(super) fn in_memory(rows: Vec<NewRow>, waiting: Arc<Waiting>) -> Self {
        let (count, bytes) = (rows.len(), rows.iter().map(frame_bytes).sum());
        Self { file: None, rows, count, bytes, waiting }
    }

    /// Adopts the segment at `path`; `None` if another process has locked it, or it contains no complete row.
    pub(super) fn adopt(path: &Path, waiting: Arc<Waiting>) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let total = bytes.len();
        let (rows, unreadable) = read_frames(bytes.into());
        if unreadable > 0 {
            tracing::warn!(path = %path.display(), unreadable, "a file of deferred usage records ends in half a record");
        }
        if rows.is_empty() {
            std::fs::remove_file(path)?;
            return Ok(None);
        }
        let (count, bytes) = (rows.len(), total - unreadable);
        waiting.add(count, bytes);
        let rows = Vec::new();
        Ok(Some(Self { file: Some((file, path.to_owned())), rows, count, bytes, waiting }))
    }

    /// Reads the rows of a file.
    pub(super) fn read(&mut self) -> io::Result<()> {
        if let Some((file, _)) = &mut self.file {
            let mut bytes = Vec::with_capacity(self.bytes);
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            self.rows = read_frames(bytes.into()).0;
        }
        Ok(())
    }

    /// Number of rows.
    pub(in crate::usage) fn count(&self) -> usize {
        self.count
    }

    pub(in crate::usage) fn rows(&self) -> &[NewRow] {
        &self.rows
    }

    /// Whether the segment survives the end of this process.
    pub(in crate::usage) fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Deletes the segment, whose rows the store has.
    pub(in crate::usage) fn delete(self) {
        if let Some((_, path)) = &self.file
            && let Err(error) = std::fs::remove_file(path)
        {
            // Its rows are delivered again, under the same ids.
            tracing::warn!(%error, path = %path.display(), "a file of deferred usage records cannot be deleted");
        }
        self.waiting.subtract(self.count, self.bytes);
    }
}
