//! The inference threads, and the channel that feeds them.
//!
//! Inference never runs on a thread of the async runtime. An inference thread takes a task, does all of it, and takes
//! the next one.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use crossbeam_channel::{Sender, bounded};
use faceline_shared::job::{JobFailure, Outcome, Task};
use tokio::sync::oneshot;
use tracing::Span;

use super::availability::{Availability, UsableSessions};
use super::handler::{Handler, Unavailable};
use super::inference_thread::{Command, InferenceThread};
use super::task_runner::{JobTimes, TaskRunner};

/// The jobs of this time are prefetched.
const PREFETCH_TIME: Duration = Duration::from_millis(100);
/// Maximum number of jobs to prefetch. A larger number does not hide more latency, and the protocol's field has 16
/// bits.
const MAX_PREFETCH_JOBS: usize = 256;

/// The threads of an engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineThreads {
    /// Their name; a number follows.
    name: &'static str,
    /// Nice value that is added to theirs; a higher one means a lower priority.
    niceness: i32,
    /// Tasks that wait in the engine, so that no thread waits for its next task to arrive.
    waiting: usize,
}

impl EngineThreads {
    /// Threads for pictures, whose callers wait.
    pub const PICTURES: Self = Self { name: "inference", niceness: 0, waiting: 1 };
    /// Threads for videos. A video takes as long as hundreds of pictures. The system lets threads for pictures run first, and
    /// a second video waits in the queue, where other workers can take it.
    pub const VIDEOS: Self = Self { name: "video", niceness: 10, waiting: 0 };
}

/// Runs tasks on inference threads.
pub struct Engine {
    commands: Option<Sender<Command>>,
    /// Carries nothing; dropping it notifies threads without usable sessions that the engine ends.
    alive: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    /// As [`EngineThreads::waiting`].
    waiting: usize,
    usable: UsableSessions,
    /// Time of a job, as measured by a warm-up.
    typical: Duration,
}

impl Engine {
    /// Warms up all runners and starts a thread for each. A runner whose models do not run takes no jobs; its thread
    /// opens them again until they do.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start<R: TaskRunner>(runners: Vec<R>) -> std::io::Result<Self> {
        Self::start_on(EngineThreads::PICTURES, runners)
    }

    /// The same on threads of another kind.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on<R: TaskRunner>(threads: EngineThreads, mut runners: Vec<R>) -> std::io::Result<Self> {
        let EngineThreads { name, niceness, waiting } = threads;
        let warm: Vec<bool> = runners.iter_mut().map(warm_up).collect();
        let mut typical = PREFETCH_TIME;
        if let Some(index) = warm.iter().position(|is_warm| *is_warm) {
            let started = Instant::now();
            warm_up(&mut runners[index]);
            typical = started.elapsed();
        }
        let usable = UsableSessions::new(warm.iter().filter(|is_warm| **is_warm).count());
        let (commands, inbox) = bounded(runners.len() + waiting);
        let (alive, engine_alive) = bounded(0);
        let spawn = |(index, (runner, is_warm)): (usize, (R, bool))| {
            let thread = InferenceThread::new(runner, inbox.clone(), engine_alive.clone(), usable.clone());
            thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                lower_priority(niceness);
                thread.serve(is_warm);
            })
        };
        let threads = runners.into_iter().zip(warm).enumerate().map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { commands: Some(commands), alive: Some(alive), threads, waiting, usable, typical })
    }

    /// Number of jobs to prefetch: those of 100 ms, and at least one more than there are threads.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        let typical = self.typical.max(Duration::from_micros(1)).as_secs_f64();
        let ahead = (PREFETCH_TIME.as_secs_f64() / typical * self.threads.len() as f64).ceil() as usize;
        ahead.clamp(self.slots(), MAX_PREFETCH_JOBS.max(self.slots())) as u16
    }
}

#[async_trait]
impl Handler for Engine {
    fn slots(&self) -> usize {
        self.threads.len() + self.waiting
    }

    fn availability(&self) -> Availability {
        self.usable.availability()
    }

    async fn handle(&self, task: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        let (reply, answer) = oneshot::channel();
        let internal = Ok((Err(JobFailure::Internal), JobTimes::default()));
        let command = Command { task, span: Span::current(), reply };
        // The channel has a place for every slot, so this does not block.
        if self.commands.as_ref().is_none_or(|commands| commands.send(command).is_err()) {
            tracing::error!("no inference thread is left");
            return internal;
        }
        answer.await.unwrap_or(internal)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.commands.take());
        drop(self.alive.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("an inference thread had panicked");
            }
        }
    }
}

/// Lowers the priority of the calling thread. On Linux each thread has its own, and child processes inherit it.
fn lower_priority(levels: i32) {
    if levels > 0
        && let Err(error) = rustix::process::nice(levels)
    {
        tracing::warn!(%error, "the priority of a thread for videos cannot be lowered");
    }
}

fn warm_up<R: TaskRunner>(runner: &mut R) -> bool {
    let warm = runner.warm_up();
    if let Err(error) = &warm {
        tracing::error!(%error, "the models do not run");
    }
    warm.is_ok()
}
