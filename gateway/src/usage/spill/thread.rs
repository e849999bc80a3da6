//! The thread that writes segments.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use faceline_gateway_store::outbox::NewRow;
use tokio::sync::oneshot;

use super::segment::{OpenSegment, Segment, frame_bytes};
use super::waiting::Waiting;

/// Size in bytes at which a segment is closed. Its delivery holds all of it in memory.
const MAX_SEGMENT_BYTES: usize = 4 << 20;
/// Maximum number of rows that share an fsync.
const MAX_ROWS_PER_SYNC: usize = 1024;
/// Maximum number of rows in memory if the disk fails.
const MAX_ROWS_IN_MEMORY: usize = 10_000;
/// File name extension of segments.
const EXTENSION: &str = "rows";

/// A command to the thread.
pub(super) enum Command {
    /// Keep a row, and answer whether it is kept.
    Keep(NewRow, oneshot::Sender<bool>),
    /// Hand out the oldest segment.
    Take(oneshot::Sender<Option<Segment>>),
    /// Adopt segments of processes that have died.
    Adopt,
}

pub(super) struct SpillThread {
    folder: PathBuf,
    waiting: Arc<Waiting>,
    current: Option<OpenSegment>,
    /// Closed segments, oldest first.
    closed: VecDeque<Segment>,
    /// Rows that the disk did not take.
    in_memory: Vec<NewRow>,
}

impl SpillThread {
    pub(super) fn new(folder: PathBuf, waiting: Arc<Waiting>) -> Self {
        Self { folder, waiting, current: None, closed: VecDeque::new(), in_memory: Vec::new() }
    }

    /// Runs until all senders of `queue` are dropped.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        self.adopt();
        while let Ok(first) = queue.recv() {
            let mut batch = Vec::new();
            for command in std::iter::once(first).chain(queue.try_iter().take(MAX_ROWS_PER_SYNC - 1)) {
                match command {
                    Command::Keep(row, caller) => batch.push((row, caller)),
                    Command::Take(caller) => {
                        self.keep(std::mem::take(&mut batch));
                        self.hand_out(caller);
                    }
                    Command::Adopt => self.adopt(),
                }
            }
            self.keep(batch);
        }
    }

    fn keep(&mut self, batch: Vec<(NewRow, oneshot::Sender<bool>)>) {
        if batch.is_empty() {
            return;
        }
        let (rows, callers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let kept = match self.append(&rows) {
            Ok(()) => rows.len(),
            Err(error) => {
                tracing::error!(%error, folder = %self.folder.display(), "deferred usage records cannot be written to the disk and wait in memory");
                let free = MAX_ROWS_IN_MEMORY.saturating_sub(self.in_memory.len());
                self.in_memory.extend(rows.iter().take(free).cloned());
                free.min(rows.len())
            }
        };
        self.waiting.add(kept, rows[..kept].iter().map(frame_bytes).sum());
        for (index, caller) in callers.into_iter().enumerate() {
            // Sending fails if the caller has left, which is no error.
            let _ = caller.send(index < kept);
        }
    }

    fn append(&mut self, rows: &[NewRow]) -> std::io::Result<()> {
        let mut segment = match self.current.take() {
            Some(segment) => segment,
            None => OpenSegment::create(&self.folder)?,
        };
        let appended = segment.append(rows);
        if appended.is_err() && segment.bytes() == 0 {
            // On a full disk, creating the file succeeds and writing a row fails. If such files were kept, they would
            // use up the process's open files.
            segment.discard();
        } else if appended.is_err() || segment.bytes() >= MAX_SEGMENT_BYTES {
            self.close(segment);
        } else {
            self.current = Some(segment);
        }
        appended
    }

    fn close(&mut self, segment: OpenSegment) {
        self.closed.push_back(segment.close(Arc::clone(&self.waiting)));
    }

    fn hand_out(&mut self, caller: oneshot::Sender<Option<Segment>>) {
        if self.closed.is_empty()
            && let Some(segment) = self.current.take()
        {
            self.close(segment);
        }
        let oldest = self.closed.pop_front().or_else(|| {
            let rows = std::mem::take(&mut self.in_memory);
            (!rows.is_empty()).then(|| Segment::in_memory(rows, Arc::clone(&self.waiting)))
        });
        let oldest = oldest.and_then(|mut segment| match segment.read() {
            Ok(()) => Some(segment),
            Err(error) => {
                tracing::error!(%error, "a file of deferred usage records cannot be read; it is tried again later");
                self.closed.push_back(segment);
                None
            }
        });
        if let Err(Some(unwanted)) = caller.send(oldest) {
            self.closed.push_front(unwanted);
        }
    }

    /// Adopts the segments in the folder that no process has locked.
    fn adopt(&mut self) {
        // The folder does not exist until a record is deferred.
        let Ok(files) = std::fs::read_dir(&self.folder) else { return };
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION)).collect();
        paths.sort_unstable();
        for path in paths {
            match Segment::adopt(&path, Arc::clone(&self.waiting)) {
                Ok(Some(segment)) => {
                    tracing::info!(path = %path.display(), records = segment.count(), "deferred usage records of an earlier process are taken over");
                    self.closed.push_back(segment);
                }
                Ok(None) => (),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a file of deferred usage records cannot be read");
                }
            }
        }
    }
}
