//! The results that this gateway could not read, and since when.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use faceline_shared::job::JobId;

/// Results that this gateway could not read. Another gateway may be able to. They are given up after a time at
/// which their replays have long ended.
pub(super) struct UnreadableResults {
    /// A result is given up this long after it came first.
    give_up_after: Duration,
    first: Mutex<HashMap<JobId, Instant>>,
}

impl UnreadableResults {
    /// Gives results up after `give_up_after`.
    pub(super) fn new(give_up_after: Duration) -> Self {
        Self { give_up_after, first: Mutex::default() }
    }

    /// Notes that the result of a job came and could not be read; whether that has gone on for too long.
    pub(super) fn is_given_up(&self, job: JobId) -> bool {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        // One that another gateway has read does not come again.
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
