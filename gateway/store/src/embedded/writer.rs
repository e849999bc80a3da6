//! The writing thread.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::failure::{FileFailure, TableResult};
use super::file::File;
use super::tables::Tables;
use crate::StoreError;

/// Maximum number of changes that share a commit.
const MAX_CHANGES_PER_COMMIT: usize = 256;

/// Maximum number of ended sessions that one commit removes, so changes do not wait long when many sessions end at
/// once.
const MAX_REMOVALS_PER_COMMIT: usize = 64;

/// Interval at which ended sessions are removed while there are no changes.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(1);

/// A change and the caller that waits for it.
trait Change: Send {
    fn apply(&mut self, tables: &mut Tables<'_>) -> TableResult<()>;
    fn answer(self: Box<Self>, committed: Result<(), FileFailure>);
}

struct PendingChange<F, T> {
    change: Option<F>,
    outcome: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Change for PendingChange<F, T>
where
    F: FnOnce(&mut Tables<'_>) -> TableResult<T> + Send,
    T: Send,
{
    fn apply(&mut self, tables: &mut Tables<'_>) -> TableResult<()> {
        if let Some(change) = self.change.take() {
            self.outcome = Some(change(tables)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), FileFailure>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(StoreError::Broken("a change was not made".into())),
            (Err(failure), _) => Err(failure.into()),
        };
        // Sending fails if the caller no longer waits, which is no error.
        let _ = self.caller.send(answer);
    }
}

/// A handle of the writing thread.
pub(super) struct Writer {
    changes: Option<Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>) -> io::Result<Self> {
        let (changes, queue) = channel();
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || run(&file, &queue))?;
        Ok(Self { changes: Some(changes), thread: Some(thread) })
    }

    /// Makes a change, and returns when it is on the disk. The change is made even if the caller stops waiting.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> TableResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let pending = PendingChange { change: Some(change), outcome: None, caller };
        if let Some(changes) = &self.changes {
            // If the thread has ended, the change is dropped here, and with it `caller`.
            let _ = changes.send(Box::new(pending));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Broken("the thread that writes has ended".into())))
    }

    /// Waits until all changes are made.
    pub(super) fn end(&mut self) {
        drop(self.changes.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn run(file: &File, queue: &Receiver<Box<dyn Change>>) {
    loop {
        let mut changes = match queue.recv_timeout(CLEANUP_INTERVAL) {
            Ok(change) => vec![change],
            Err(RecvTimeoutError::Timeout) => vec![],
            Err(RecvTimeoutError::Disconnected) => return,
        };
        changes.extend(queue.try_iter().take(MAX_CHANGES_PER_COMMIT - 1));
        commit(file, changes);
    }
}

/// Makes changes in one transaction: all of them or none.
fn commit(file: &File, mut changes: Vec<Box<dyn Change>>) {
    let committed = file.write(|tables| {
        for change in &mut changes {
            change.apply(tables)?;
        }
        tables.remove_ended(MAX_REMOVALS_PER_COMMIT)
    });
    if let Err(failure) = &committed {
        tracing::error!(?failure, "writing to the session store's file failed; the file is opened anew");
        file.reopen();
    }
    for change in changes {
        change.answer(committed.clone());
    }
}
