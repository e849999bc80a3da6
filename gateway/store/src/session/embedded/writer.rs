//! The thread that writes.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::file::{Failure, File};
use super::tables::Tables;
use crate::session::StoreError;

/// Changes that share a commit, at most.
const MOST_CHANGES: usize = 256;

/// Sessions that ended and are removed in a commit, at most: nobody waits for long because many end at once.
const MOST_REMOVALS: usize = 64;

/// Time between two looks for sessions that ended, where nothing else is to do.
const CLEANING: Duration = Duration::from_secs(1);

/// A change and whoever waits for it.
trait Change: Send {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    fn answer(self: Box<Self>, committed: Result<(), Failure>);
}

struct Asked<F, T> {
    change: Option<F>,
    outcome: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Change for Asked<F, T>
where
    F: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
    T: Send,
{
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        if let Some(change) = self.change.take() {
            self.outcome = Some(change(tables)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Failure>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(StoreError::Broken("a change was not made".into())),
            (Err(failure), _) => Err(failure.into()),
        };
        // A caller who left does not want to know.
        let _ = self.caller.send(answer);
    }
}

/// The way to the thread that writes.
pub(super) struct Writer {
    changes: Option<Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>) -> io::Result<Self> {
        let (changes, queue) = channel();
        let thread = thread::Builder::new().name("sessions".into()).spawn(move || run(&file, &queue))?;
        Ok(Self { changes: Some(changes), thread: Some(thread) })
    }

    /// Makes a change, and returns when it is on the disk. It is made also where the caller does not wait for it.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let asked = Asked { change: Some(change), outcome: None, caller };
        if let Some(changes) = &self.changes {
            // A thread that has ended drops what it is sent, and with it `caller`.
            let _ = changes.send(Box::new(asked));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Broken("the thread that writes has ended".into())))
    }

    /// Waits until all that was asked is done.
    pub(super) fn end(&mut self) {
        drop(self.changes.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn run(file: &File, queue: &Receiver<Box<dyn Change>>) {
    loop {
        let mut changes = match queue.recv_timeout(CLEANING) {
            Ok(change) => vec![change],
            Err(RecvTimeoutError::Timeout) => vec![],
            Err(RecvTimeoutError::Disconnected) => return,
        };
        changes.extend(queue.try_iter().take(MOST_CHANGES - 1));
        commit(file, changes);
    }
}

/// Makes changes in one transaction: all of them or none.
fn commit(file: &File, mut changes: Vec<Box<dyn Change>>) {
    let committed = file.write(|tables| {
        for change in &mut changes {
            change.apply(tables)?;
        }
        tables.remove_ended(MOST_REMOVALS)
    });
    if let Err(failure) = &committed {
        tracing::error!(?failure, "the session store's file is opened anew");
        file.reopen();
    }
    for change in changes {
        change.answer(committed.clone());
    }
}
