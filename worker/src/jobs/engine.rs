//! Threads that own the models, and the channel that feeds them.
//!
//! Inference never runs on a thread of the runtime: a thread of the engine takes a job, does all of it, and takes the
//! next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use faceline_shared::job::{JobFailure, Outcome, Task};
use tokio::sync::oneshot;

use super::face_worker::FaceWorker;
use super::handler::{Handler, Times};

/// Work for this time is fetched ahead.
const AHEAD: Duration = Duration::from_millis(100);
/// A prefetch is 16 bits wide, and more than this hides nothing any more.
const MOST_AHEAD: usize = 256;

struct Item {
    task: Task<Bytes>,
    done: oneshot::Sender<(Outcome, Times)>,
}

/// The models at work.
pub struct Engine {
    jobs: Option<Sender<Item>>,
    threads: Vec<JoinHandle<()>>,
    /// Time of a job, as the warm-up had it.
    typical: Duration,
}

impl Engine {
    /// Starts a thread for each worker, all of them warm.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(mut workers: Vec<FaceWorker>) -> std::io::Result<Self> {
        for worker in &mut workers {
            worker.warm_up();
        }
        let started = Instant::now();
        if let Some(worker) = workers.first_mut() {
            worker.warm_up();
        }
        let typical = started.elapsed();

        let (jobs, inbox) = bounded(workers.len() + 1);
        let spawn = |(index, worker): (usize, FaceWorker)| {
            let inbox = inbox.clone();
            thread::Builder::new().name(format!("inference-{index}")).spawn(move || work(worker, &inbox))
        };
        let threads = workers.into_iter().enumerate().map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads, typical })
    }

    /// Jobs to have at hand: what is done in 100 ms, and at least one more than there are threads.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        let typical = self.typical.max(Duration::from_micros(1)).as_secs_f64();
        let ahead = (AHEAD.as_secs_f64() / typical * self.threads.len() as f64).ceil() as usize;
        ahead.clamp(self.slots(), MOST_AHEAD.max(self.slots())) as u16
    }
}

#[async_trait]
impl Handler for Engine {
    /// One more than there are threads, so that none waits for the next job to arrive.
    fn slots(&self) -> usize {
        self.threads.len() + 1
    }

    async fn handle(&self, task: Task<Bytes>) -> (Outcome, Times) {
        let (done, answer) = oneshot::channel();
        let internal = (Err(JobFailure::Internal), Times::default());
        // The channel has room for every slot, so this does not block.
        if self.jobs.as_ref().is_none_or(|jobs| jobs.send(Item { task, done }).is_err()) {
            tracing::error!("no inference thread is left");
            return internal;
        }
        answer.await.unwrap_or(internal)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("an inference thread had panicked");
            }
        }
    }
}

fn work(mut worker: FaceWorker, inbox: &Receiver<Item>) {
    for Item { task, done } in inbox {
        let outcome = catch_unwind(AssertUnwindSafe(|| worker.run(&task))).unwrap_or_else(|_| {
            // The panic hook has logged it. What the models keep between jobs is overwritten by the next one.
            tracing::error!("a job panicked");
            (Err(JobFailure::Internal), Times::default())
        });
        // Whoever asked may have left.
        let _ = done.send(outcome);
    }
}
