//! The clock of the file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Milliseconds since 1970 by the computer's clock, which stand still where that clock is set back: what has ended stays
/// ended.
#[derive(Default)]
pub(super) struct Clock {
    latest: AtomicU64,
}

impl Clock {
    pub(super) fn now(&self) -> u64 {
        // A clock before 1970 counts as 1970.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.not_before_latest(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn not_before_latest(&self, time: u64) -> u64 {
        self.latest.fetch_max(time, Ordering::Relaxed).max(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let clock = Clock::default();
        assert_eq!(clock.not_before_latest(1000), 1000);
        assert_eq!(clock.not_before_latest(400), 1000);
        assert_eq!(clock.not_before_latest(1001), 1001);
        assert!(clock.now() > 1_700_000_000_000);
    }
}
