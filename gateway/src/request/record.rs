//! What is learned of a request on its way.
//!
//! As with the fields of its span, whoever learns something notes it where it happens, and who makes the answer reads it at
//! the end: nobody in between has to hand it on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faceline_gateway_store::rate::{Terms, Verdict};
use faceline_shared::job::JobId;
use uuid::Uuid;

use crate::accounts::Caller;

tokio::task_local! {
    static PRESENT: Record;
}

/// The record of one request.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Facts>>);

/// What is known of a request.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who sent it.
    pub caller: Option<Caller>,
    /// What bounds its key, and what came of that; `None` where the request was not counted.
    pub counted: Option<(Terms, Verdict)>,
    /// What it asks the workers.
    pub job: Option<JobId>,
    /// The session that it names or creates.
    pub session: Option<Uuid>,
    /// The caller's own identifier, of the session or the request.
    pub correlation_id: Option<String>,
    /// The caller's own identifier, of the session or the request.
    pub evidence_id: Option<String>,
}

impl Record {
    /// Does `work` for the request of this record.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        PRESENT.scope(self, work).await
    }

    /// What is known by now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes something about the present request; nothing happens where there is none.
pub fn note(note: impl FnOnce(&mut Facts)) {
    let _ = PRESENT.try_with(|record| note(&mut record.lock()));
}

/// What is known of the present request.
#[must_use]
pub fn present() -> Option<Facts> {
    PRESENT.try_with(Record::facts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::demo_caller;

    #[tokio::test]
    async fn a_note_is_for_the_present_request_only() {
        let caller = demo_caller();
        let know = || note(|facts| facts.caller = Some(caller.clone()));
        know();
        let [one, other] = [(); 2].map(|()| Record::default());
        one.clone().scope(async { know() }).await;
        other.clone().scope(async {}).await;
        assert_eq!(one.facts().caller, Some(caller.clone()));
        assert_eq!(other.facts().caller, None);
    }
}
