//! The handle of the spill.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use faceline_gateway_store::outbox::NewRow;
use tokio::sync::oneshot;

use super::segment::{Segment, frame_bytes};
use super::thread::{Command, SpillThread};
use super::waiting::{SpillGauges, Waiting};

/// The folder in the data directory.
const FOLDER: &str = "usage-deferred";

/// A row cannot be kept: the spill has reached its bound, or the disk has failed and the bound in memory is reached.
#[derive(Debug)]
pub(in crate::usage) struct SpillFull;

/// A handle of the spill. Dropping it closes the files, which stay.
pub(in crate::usage) struct Spill {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    max_bytes: u64,
}

impl Spill {
    /// Opens the spill in `data_dir`, which keeps at most `max_bytes`, and adopts the segments of earlier processes.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(in crate::usage) fn start(
        data_dir: &Path,
        max_bytes: u64,
        gauges: SpillGauges,
    ) -> std::io::Result<Self> {
        let waiting = Arc::new(Waiting::new(gauges));
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
    pub(in crate::usage) async fn keep(&self, row: NewRow) -> Result<(), SpillFull> {
        if self.waiting.bytes() + frame_bytes(&row) as u64 > self.max_bytes {
            return Err(SpillFull);
        }
        let (caller, kept) = oneshot::channel();
        self.send(Command::Keep(row, caller));
        if kept.await.unwrap_or(false) { Ok(()) } else { Err(SpillFull) }
    }

    /// The segment that has waited longest, with its rows. It belongs to the caller, who delivers and deletes it.
    pub(in crate::usage) async fn take(&self) -> Option<Segment> {
        let (caller, taken) = oneshot::channel();
        self.send(Command::Take(caller));
        taken.await.ok().flatten()
    }

    /// Looks for segments of processes that have died since the start.
    pub(in crate::usage) fn adopt(&self) {
        self.send(Command::Adopt);
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // If the thread has ended, the command is dropped here, and the caller's channel closes.
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
