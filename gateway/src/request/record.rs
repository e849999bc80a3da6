//! Facts that are learned about a request while it is handled, for its usage record and its rate limit headers.
//!
//! The layer `record` of the listener gives each request a record that all code of the request's task can reach, like
//! the fields of a tracing span. Code that learns a fact adds it to the record, and the layers read the record when
//! the answer is ready. The code in between does not have to pass the facts on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faceline_gateway_store::rate::{Terms, Verdict};
use faceline_shared::job::JobId;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::accounts::Caller;
use crate::fault::Fault;

tokio::task_local! {
    static CURRENT: RequestRecord;
}

/// The record of one request.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord(Arc<Mutex<RequestFacts>>);

/// The facts about a request that are known so far.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// The caller, once its credential was found to be valid.
    pub caller: Option<Caller>,
    /// The rate and quota of the caller's key, and whether the request is within them; `None` for a request that does
    /// not count.
    pub rate_check: Option<(Terms, Verdict)>,
    /// The request was admitted and received as a whole.
    pub is_received: bool,
    /// A worker has done the request's job, or the store has made its change.
    pub is_work_done: bool,
    /// The job that the request makes.
    pub job: Option<JobId>,
    /// The session that the request names or creates.
    pub session: Option<Uuid>,
    /// The caller's `correlationId` of the session or the request.
    pub correlation_id: Option<String>,
    /// The caller's `evidenceId` of the session or the request.
    pub evidence_id: Option<String>,
}

impl RequestRecord {
    /// Runs `handler` with this record as the current one.
    pub async fn scope<T>(self, handler: impl Future<Output = T>) -> T {
        CURRENT.scope(self, handler).await
    }

    /// The record of the request that is being handled.
    ///
    /// # Errors
    /// [`Fault::Internal`] outside of [`Self::scope`]: the router lacks the layer `record`, or another task was
    /// spawned.
    pub fn current() -> Result<Self, Fault> {
        CURRENT.try_with(Clone::clone).map_err(|_| {
            tracing::error!("a request is handled without a record");
            Fault::Internal
        })
    }

    /// Changes the facts.
    pub fn update(&self, change: impl FnOnce(&mut RequestFacts)) {
        change(&mut self.lock());
    }

    /// A copy of the facts.
    #[must_use]
    pub fn facts(&self) -> RequestFacts {
        self.lock().clone()
    }

    /// The client whose credential was found to be valid.
    #[must_use]
    pub fn client(&self) -> Option<Arc<str>> {
        self.lock().caller.as_ref().map(|caller| Arc::clone(&caller.client))
    }

    fn lock(&self) -> MutexGuard<'_, RequestFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes the facts of the request that is being handled. Outside of a request this does nothing but log an error.
pub fn update(change: impl FnOnce(&mut RequestFacts)) {
    if let Ok(record) = RequestRecord::current() {
        record.update(change);
    }
}

/// Runs `work` to completion in a spawned task, even if the caller disconnects and the handler is cancelled. The task
/// has the record and the span of the request, if there is one.
///
/// # Errors
/// [`Fault::Internal`] if the work panics.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Fault> {
    let record = CURRENT.try_with(Clone::clone).ok();
    let work = async move {
        match record {
            Some(record) => record.scope(work).await,
            None => work.await,
        }
    };
    tokio::spawn(work.in_current_span()).await.map_err(|error| {
        tracing::error!(%error, "work of a request does not come to its end");
        Fault::Internal
    })
}

/// Notes that the work of the request is done: a worker has given its result, or the store has made its change.
pub fn note_work_done() {
    update(|facts| facts.is_work_done = true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::demo_caller;

    #[tokio::test]
    async fn a_note_is_for_the_present_request_only() {
        let caller = demo_caller();
        let learn = || update(|facts| facts.caller = Some(caller.clone()));
        learn();
        let [one, other] = [(); 2].map(|()| RequestRecord::default());
        one.clone().scope(async { learn() }).await;
        other.clone().scope(async {}).await;
        assert_eq!(one.facts().caller, Some(caller.clone()));
        assert_eq!(other.facts().caller, None);
    }

    #[tokio::test]
    async fn there_is_no_record_outside_of_a_request() {
        assert!(matches!(RequestRecord::current(), Err(Fault::Internal)));
        let within = RequestRecord::default().scope(async { RequestRecord::current() }).await;
        assert!(within.is_ok());
    }
}
