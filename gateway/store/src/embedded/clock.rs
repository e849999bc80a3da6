//! The clock of the file.

use std::time::{Instant, SystemTime};

/// Milliseconds since 1970: the computer's time when the process started, plus the time that has passed since.
///
/// Setting the computer's clock while the process runs therefore neither ends sessions early nor revives ended ones. The
/// file outlives the process, and its times mean the same to the next process.
pub(super) struct Clock {
    started_at: u64,
    started: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        // A clock before 1970 counts as 1970.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn starting_at(started_at: u64) -> Self {
        Self { started_at, started: Instant::now() }
    }

    pub(super) fn now(&self) -> u64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.started_at.saturating_add(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_says_the_time_of_its_start_and_what_has_passed() {
        let before = Instant::now();
        let clock = Clock::starting_at(1000);
        let (first, passed) = (clock.now(), before.elapsed());
        assert!((1000..=1000 + passed.as_millis() as u64).contains(&first));
        while clock.now() < first + 5 {
            assert!(before.elapsed().as_secs() < 60, "it stands still");
        }
        assert!(before.elapsed().as_millis() >= 4);
    }

    #[test]
    fn it_starts_at_the_computers_time() {
        let computers =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        let before = computers();
        let now = Clock::new().now();
        assert!((before..=computers() + 1).contains(&now));
    }
}
