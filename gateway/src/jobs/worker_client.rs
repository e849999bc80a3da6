//! The workers, as the API families use them.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use bytes::Bytes;
use faceline_shared::job::{JobFailure, Outcome, Task};

use super::submit::{JobRequest, Submit, SubmitError};
use crate::admission::Admission;
use crate::request::RequestContext;

/// Takes tasks to the workers, each within its deadline.
#[derive(Clone)]
pub struct WorkerClient {
    submit: Arc<dyn Submit>,
    admission: Arc<Admission>,
    deadline: Duration,
}

impl WorkerClient {
    /// Tasks end within `deadline`, or earlier where the caller says so.
    #[must_use]
    pub fn new(submit: Arc<dyn Submit>, admission: Arc<Admission>, deadline: Duration) -> Self {
        Self { submit, admission, deadline }
    }

    /// Has a task done. A failure is one of its pictures' or its template's, and is to be told in the family's words.
    ///
    /// # Errors
    /// No room, no answer in time, or something is broken.
    pub async fn run(&self, task: Task<Bytes>, context: &RequestContext) -> Result<Outcome, Fault> {
        self.run_after(Duration::ZERO, task, context).await
    }

    /// The same where `spent` of the deadline is gone already.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_after(
        &self,
        spent: Duration,
        task: Task<Bytes>,
        context: &RequestContext,
    ) -> Result<Outcome, Fault> {
        let own = context.timeout.filter(|timeout| *timeout < self.deadline);
        let job = JobRequest {
            id: context.job,
            client: context.client.as_ref().to_owned(),
            task,
            budget: own.unwrap_or(self.deadline).saturating_sub(spent),
            callers_own_deadline: own.is_some(),
            trace: context.trace,
        };
        let refusal = |cause| Err(self.admission.refusal(&context.fingerprint, cause));
        match self.submit.submit(job).await {
            Ok(result) => Ok(Ok(result)),
            Err(SubmitError::Fault(fault)) => Err(fault),
            Err(SubmitError::Busy(cause)) => refusal(cause),
            Err(SubmitError::Failed(failure)) => match failure {
                JobFailure::Expired { .. } => {
                    refusal(BusyCause::DeadlineQueued { callers_own: own.is_some() })
                }
                JobFailure::BlobLost | JobFailure::Poison { .. } | JobFailure::Internal => {
                    tracing::error!(%failure, "a job failed");
                    Err(Fault::Internal)
                }
                JobFailure::BadPicture { .. }
                | JobFailure::SeveralFaces { .. }
                | JobFailure::NoFace { .. }
                | JobFailure::OtherAlgorithm { .. } => Ok(Err(failure)),
            },
        }
    }
}

/// A worker answered another question than the one it was asked.
pub(crate) fn other_result() -> Fault {
    tracing::error!("the job's result is of another kind than the job");
    Fault::Internal
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use faceline_shared::job::{Ranking, Subject};
    use faceline_shared::settings::Settings;
    use faceline_shared::telemetry::Metrics;
    use uuid::Uuid;

    use super::*;
    use crate::accounts::demo_caller;
    use crate::admission::ConnectionId;
    use crate::jobs::SubmitResult;

    /// Answers always the same, if the order is as expected.
    struct Fixed(SubmitResult, Duration, bool);

    #[async_trait]
    impl Submit for Fixed {
        async fn submit(&self, job: JobRequest) -> SubmitResult {
            assert_eq!((job.budget, job.callers_own_deadline), (self.1, self.2));
            self.0.clone()
        }

        fn is_connected(&self) -> bool {
            true
        }
    }

    async fn run(answer: SubmitResult, timeout: Option<Duration>) -> Result<Outcome, Fault> {
        let deadline = Duration::from_secs(30);
        let own = timeout.filter(|timeout| *timeout < deadline);
        let admission = Admission::new(&Settings::default(), &Metrics::new());
        let caller = demo_caller();
        let context = RequestContext {
            job: Uuid::now_v7(),
            client: caller.client.clone(),
            fingerprint: admission.fingerprint(&caller, "/", None, ConnectionId::default()),
            trace: faceline_shared::telemetry::TraceContext::default(),
            timeout,
        };
        let fixed = Fixed(answer, own.unwrap_or(deadline), own.is_some());
        let task = Task::Rank(Box::new(Ranking {
            reference: faceline_shared::face::Embedding::new("A", 1, &[1.0]),
            candidates: Vec::new(),
        }));
        WorkerClient::new(Arc::new(fixed), admission, deadline).run(task, &context).await
    }

    fn failed(failure: JobFailure) -> SubmitResult {
        Err(SubmitError::Failed(failure))
    }

    #[tokio::test]
    async fn what_is_the_pictures_fault_is_left_to_the_family() {
        let failure = JobFailure::SeveralFaces { subject: Subject::Candidate };
        assert_eq!(run(failed(failure.clone()), None).await, Ok(Err(failure)));
    }

    #[tokio::test]
    async fn what_is_ours_is_a_fault() {
        for failure in [JobFailure::BlobLost, JobFailure::Poison { attempts: 3 }, JobFailure::Internal] {
            assert_eq!(run(failed(failure), None).await, Err(Fault::Internal));
        }
        let running = Fault::DeadlineRunning { callers_own: false };
        assert_eq!(run(Err(SubmitError::Fault(running.clone())), None).await, Err(running));
    }

    #[tokio::test]
    async fn the_shorter_of_two_deadlines_holds_and_is_named() {
        for (timeout, callers_own) in [(None, false), (Some(7), true), (Some(70), false)] {
            let timeout = timeout.map(Duration::from_secs);
            let fault = run(failed(JobFailure::Expired { age_ms: 1 }), timeout).await.unwrap_err();
            let cause = fault.as_busy().unwrap().cause;
            assert_eq!(cause, BusyCause::DeadlineQueued { callers_own });
        }
        let full = run(Err(SubmitError::Busy(BusyCause::QueueFull)), None).await.unwrap_err();
        assert_eq!(full.as_busy().unwrap().cause, BusyCause::QueueFull);
    }
}
