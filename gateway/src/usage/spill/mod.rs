//! Usage records that the session store did not take in time wait here until it does: in files of the data directory, or in
//! memory if the disk fails.
//!
//! A file is a segment: rows one after the other, sealed as the store would have them. One thread writes. Rows that wait
//! together share one fsync, and each is acknowledged after it. A segment that is full, or is about to be delivered, is closed
//! and never written again; it is deleted when the store has all of its rows. A process locks its segments, so processes may
//! share a data directory, and those of a process that died are adopted by another one.

mod segment;
mod thread;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use faceline_gateway_store::outbox::NewRow;
use prometheus::IntGauge;
use tokio::sync::oneshot;

pub(super) use self::segment::Segment;
use self::thread::{Command, SpillThread};

/// The folder in the data directory.
const FOLDER: &str = "usage-deferred";
/// Rows that wait in memory if the disk fails.
const MAX_ROWS_IN_MEMORY: u64 = 10_000;

/// Counts what waits. Shared by the spill and its segments.
#[derive(Clone, Debug)]
pub(super) struct SpillGauges {
    pub(super) rows: IntGauge,
    pub(super) bytes: IntGauge,
}

/// What waits for the store, by bytes.
#[derive(Debug)]
struct Waiting {
    bytes: AtomicU64,
    gauges: SpillGauges,
}

impl Waiting {
    fn add(&self, rows: usize, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.gauges.rows.add(rows as i64);
        self.gauges.bytes.add(bytes as i64);
    }

    fn subtract(&self, rows: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        self.gauges.rows.sub(rows as i64);
        self.gauges.bytes.sub(bytes as i64);
    }
}

/// A row does not fit: too much waits, or the disk has failed and memory is full.
#[derive(Debug)]
pub(super) struct SpillFull;

/// A handle of the spill. Dropping it closes the files, which stay.
pub(super) struct Spill {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    max_bytes: u64,
}

impl Spill {
    /// Opens the spill in `data_dir` and adopts what earlier processes left. At most `max_bytes` wait.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(data_dir: &Path, max_bytes: u64, gauges: SpillGauges) -> std::io::Result<Self> {
        let waiting = Arc::new(Waiting { bytes: AtomicU64::new(0), gauges });
        let (commands, queue) = channel();
        let thread = SpillThread::new(data_dir.join(FOLDER), Arc::clone(&waiting));
        let thread =
            std::thread::Builder::new().name("usage-spill".into()).spawn(move || thread.run(&queue))?;
        Ok(Self { commands: Some(commands), thread: Some(thread), waiting, max_bytes })
    }

    /// Keeps a row. Returns when it is on the disk.
    ///
    /// # Errors
    /// [`SpillFull`]: the row is not kept.
    pub(super) async fn keep(&self, row: NewRow) -> Result<(), SpillFull> {
        if self.waiting.bytes.load(Ordering::Relaxed) + segment::frame_bytes(&row) as u64 > self.max_bytes {
            return Err(SpillFull);
        }
        let (caller, kept) = oneshot::channel();
        self.send(Command::Keep(row, caller));
        if kept.await.unwrap_or(false) { Ok(()) } else { Err(SpillFull) }
    }

    /// The segment that has waited longest, with its rows. It belongs to the caller, who delivers and deletes it.
    pub(super) async fn take(&self) -> Option<Segment> {
        let (caller, taken) = oneshot::channel();
        self.send(Command::Take(caller));
        taken.await.ok().flatten()
    }

    /// Looks for segments of processes that have died since the start.
    pub(super) fn adopt(&self) {
        self.send(Command::Adopt);
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // If the thread has ended, the command is dropped here, and its caller learns of it.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
