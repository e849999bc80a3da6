//! The API families' access to the workers.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use bytes::Bytes;
use faceline_shared::job::{JobFailure, Outcome, Task};
use faceline_shared::settings::JobSettings;

use super::submit::{JobRequest, Submit, SubmitError};
use crate::admission::Admission;
use crate::request::{RequestContext, record};

/// Runs tasks on the workers, each within its deadline.
#[derive(Clone)]
pub struct WorkerClient {
    submit: Arc<dyn Submit>,
    admission: Arc<Admission>,
    deadline: Duration,
    video_deadline: Duration,
}

impl WorkerClient {
    /// A client whose tasks end within the deadlines of `settings`, or within the caller's own deadline if that is shorter.
    #[must_use]
    pub fn new(submit: Arc<dyn Submit>, admission: Arc<Admission>, settings: &JobSettings) -> Self {
        let JobSettings { deadline, video_deadline, .. } = *settings;
        Self { submit, admission, deadline, video_deadline }
    }

    /// Runs a task. The inner error is a failure that the task's pictures or template cause; the API family puts it
    /// into its own words.
    ///
    /// # Errors
    /// [`Fault::Busy`] if the queue is full, no worker takes the job in time, or broker or blob store are unreachable;
    /// [`Fault::DeadlineRunning`] if the worker takes too long; [`Fault::NotWorking`] if the workers have other sealing keys;
    /// [`Fault::Internal`] for everything else.
    pub async fn run(&self, task: Task<Bytes>, context: &RequestContext) -> Result<Outcome, Fault> {
        self.run_after(Duration::ZERO, task, context).await
    }

    /// Like [`Self::run`], after the request has spent part of its deadline on something else.
    ///
    /// # Errors
    /// See [`Self::run`].
    pub async fn run_after(
        &self,
        spent: Duration,
        task: Task<Bytes>,
        context: &RequestContext,
    ) -> Result<Outcome, Fault> {
        let deadline = if task.is_about_video() { self.video_deadline } else { self.deadline };
        let own = context.timeout.filter(|timeout| *timeout < deadline);
        let job = JobRequest {
            id: context.job,
            client: context.client.as_ref().to_owned(),
            task,
            budget: own.unwrap_or(deadline).saturating_sub(spent),
            callers_own_deadline: own.is_some(),
            trace: context.trace.clone(),
        };
        let refusal = |cause| Err(self.admission.refusal(&context.fingerprint, cause));
        match self.submit.submit(job).await {
            Ok(result) => {
                record::note_work_done();
                Ok(Ok(result))
            }
            Err(SubmitError::Fault(fault)) => Err(fault),
            Err(SubmitError::Busy(cause)) => refusal(cause),
            Err(SubmitError::Failed(failure)) => match failure {
                JobFailure::Expired { .. } => {
                    refusal(BusyCause::DeadlineQueued { callers_own: own.is_some() })
                }
                JobFailure::Unsupported => {
                    tracing::error!(%failure, "upgrade the workers before the gateways");
                    refusal(BusyCause::NoWorker)
                }
                // The key agreement logs this once a minute, and not for each job.
                JobFailure::OtherKeys => Err(Fault::NotWorking),
                // No worker could read the blob in several attempts: the blob store is unavailable or loses blobs.
                JobFailure::BlobLost => refusal(BusyCause::StoreUnreachable),
                JobFailure::Poison { .. } | JobFailure::Internal => {
                    tracing::error!(%failure, "a job failed");
                    Err(Fault::Internal)
                }
                JobFailure::BadPicture { .. }
                | JobFailure::BadVideo(_)
                | JobFailure::SeveralFaces { .. }
                | JobFailure::NoFace { .. }
                | JobFailure::OtherAlgorithm { .. } => Ok(Err(failure)),
            },
        }
    }
}

/// The fault for a result whose kind does not belong to the task.
pub(crate) fn unexpected_result() -> Fault {
    tracing::error!("the result's kind does not belong to the task");
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

    /// Checks the job's budget and whether the caller set it, and always returns the same answer.
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
        let settings = JobSettings { deadline, ..JobSettings::default() };
        WorkerClient::new(Arc::new(fixed), admission, &settings).run(task, &context).await
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
        for failure in [JobFailure::Poison { attempts: 3 }, JobFailure::Internal] {
            assert_eq!(run(failed(failure), None).await, Err(Fault::Internal));
        }
        assert_eq!(run(failed(JobFailure::OtherKeys), None).await, Err(Fault::NotWorking));
        let unsupported = run(failed(JobFailure::Unsupported), None).await.unwrap_err();
        assert_eq!(unsupported.as_busy().unwrap().cause, BusyCause::NoWorker);
        let lost = run(failed(JobFailure::BlobLost), None).await.unwrap_err();
        assert_eq!(lost.as_busy().unwrap().cause, BusyCause::StoreUnreachable);
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
