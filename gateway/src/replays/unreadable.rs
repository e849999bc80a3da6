//! The results that this gateway could not read, with the time of their first arrival.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use faceline_shared::job::JobId;

/// Results that this gateway could not read and that another gateway may be able to read. A result is given up after
/// a time at which its replay has long ended.
pub(super) struct UnreadableResults {
    /// Time after its first arrival at which a result is given up.
    give_up_after: Duration,
    first: Mutex<HashMap<JobId, Instant>>,
}

impl UnreadableResults {
    /// Creates a set that gives results up after `give_up_after`.
    pub(super) fn new(give_up_after: Duration) -> Self {
        Self { give_up_after, first: Mutex::default() }
    }

    /// Records that the result of a job arrived and could not be read. Returns whether to give it up.
    pub(super) fn is_given_up(&self, job: JobId) -> bool {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        // Results that another gateway has read do not arrive again; their entries are removed here.
        first.retain(|_, since| since.elapsed() < 2 * self.give_up_after);
        first.entry(job).or_insert_with(Instant::now).elapsed() >= self.give_up_after
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_result_is_given_up_after_its_time_and_not_before() {
        let job = Uuid::now_v7();
        let patient = UnreadableResults::new(Duration::from_hours(1));
        assert!(!patient.is_given_up(job) && !patient.is_given_up(job));
        let at_once = UnreadableResults::new(Duration::ZERO);
        assert!(at_once.is_given_up(job));
    }
}
