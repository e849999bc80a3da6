//! One inference thread: runs tasks one after another, and recovers sessions that fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use faceline_shared::job::{JobFailure, JobResult, Outcome, Task};
use tokio::sync::oneshot;
use tracing::Span;

use super::availability::UsableSessions;
use super::handler::Unavailable;
use super::session_health::{FailureAction, SessionHealth};
use super::task_runner::{JobTimes, TaskFault, TaskRun, TaskRunner};

/// While other threads have usable sessions, a thread without them checks in this interval whether that is still so.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A task for an inference thread.
pub(super) struct Command {
    pub(super) task: Task<Bytes>,
    /// The job's span, which the thread enters.
    pub(super) span: Span,
    pub(super) reply: oneshot::Sender<Result<(Outcome, JobTimes), Unavailable>>,
}

/// The engine was dropped, and the thread ends.
struct EngineDropped;

/// State of one inference thread.
pub(super) struct InferenceThread<R> {
    runner: R,
    commands: Receiver<Command>,
    /// Carries nothing; it is disconnected when the engine is dropped.
    engine_alive: Receiver<()>,
    usable: UsableSessions,
    health: SessionHealth,
}

impl<R: TaskRunner> InferenceThread<R> {
    pub(super) fn new(
        runner: R,
        commands: Receiver<Command>,
        engine_alive: Receiver<()>,
        usable: UsableSessions,
    ) -> Self {
        Self { runner, commands, engine_alive, usable, health: SessionHealth::default() }
    }

    /// Runs tasks until the engine is dropped. `is_warm` says whether the sessions are usable, and counted as such.
    pub(super) fn serve(mut self, is_warm: bool) {
        if !is_warm && self.recover().is_err() {
            return;
        }
        while let Ok(command) = self.commands.recv() {
            if self.execute(command) || self.recover().is_ok() {
                continue;
            }
            return;
        }
    }

    /// Runs one task. Returns whether the sessions are still usable; if not, they no longer count as usable.
    fn execute(&mut self, Command { task, span, reply }: Command) -> bool {
        let _entered = span.enter();
        let run = catch_unwind(AssertUnwindSafe(|| self.runner.run(&task)));
        let (answer, action) = match run {
            Ok(TaskRun { result, times }) => self.assess(result, times),
            Err(_) => {
                // The panic hook has logged the panic itself.
                tracing::error!("a job panicked");
                (Ok((Err(JobFailure::Internal), JobTimes::default())), FailureAction::Continue)
            }
        };
        let answer = if action == FailureAction::GiveUp && self.leave_usable() {
            Err(Unavailable::Models)
        } else {
            answer
        };
        // The send fails if the caller has left, which needs no reaction.
        let _ = reply.send(answer);
        match action {
            FailureAction::Continue => true,
            FailureAction::Reopen => {
                let runs = self.reopen();
                if !runs {
                    self.leave_usable();
                }
                runs
            }
            FailureAction::GiveUp => false,
        }
    }

    /// Removes these sessions from the count of usable ones. Returns whether no other ones are usable.
    fn leave_usable(&self) -> bool {
        self.usable.remove();
        self.usable.is_empty()
    }

    /// The answer to a task, and its consequence for the sessions.
    fn assess(
        &mut self,
        result: Result<JobResult, TaskFault>,
        times: JobTimes,
    ) -> (Result<(Outcome, JobTimes), Unavailable>, FailureAction) {
        let outcome = match result {
            Ok(result) => Ok(result),
            Err(TaskFault::Job(failure)) => Err(failure),
            Err(TaskFault::Unavailable(reason)) => {
                tracing::warn!(reason, "a task cannot be done now");
                return (Err(Unavailable::Services), FailureAction::Continue);
            }
            Err(TaskFault::Inference(error)) => {
                tracing::error!(%error, "a model failed");
                return (Ok((Err(JobFailure::Internal), times)), self.health.failed());
            }
        };
        if times.infer > Duration::ZERO {
            self.health.succeeded();
        }
        (Ok((outcome, times)), FailureAction::Continue)
    }

    /// Tries to open the sessions again, with a growing delay, until they run. Meanwhile the thread runs no tasks.
    fn recover(&mut self) -> Result<(), EngineDropped> {
        tracing::error!("the models of an inference thread do not run; it takes no jobs until they do");
        loop {
            let delay = self.health.recovery_delay();
            self.pause(delay)?;
            if self.reopen() {
                self.usable.add();
                return Ok(());
            }
        }
    }

    /// Waits. If no thread has usable sessions, gives the tasks in the channel back.
    fn pause(&self, delay: Duration) -> Result<(), EngineDropped> {
        let due = Instant::now() + delay;
        while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            let ended = if self.usable.is_empty() {
                match self.commands.recv_timeout(rest.min(CHECK_INTERVAL)) {
                    Ok(command) => {
                        drop(command.reply.send(Err(Unavailable::Models)));
                        continue;
                    }
                    Err(error) => error == RecvTimeoutError::Disconnected,
                }
            } else {
                // The other threads take the tasks.
                self.engine_alive.recv_timeout(rest.min(CHECK_INTERVAL))
                    == Err(RecvTimeoutError::Disconnected)
            };
            if ended {
                return Err(EngineDropped);
            }
        }
        Ok(())
    }

    /// Opens the sessions again and warms them up. Returns whether they run.
    fn reopen(&mut self) -> bool {
        tracing::warn!("opening the models again");
        match catch_unwind(AssertUnwindSafe(|| self.runner.reopen())) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::error!(%error, "the models do not run"),
            Err(_) => tracing::error!("opening the models panicked"),
        }
        false
    }
}
