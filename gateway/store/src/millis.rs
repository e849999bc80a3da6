//! Durations as the stores count them.

use std::time::Duration;

/// A century in milliseconds, which no session and no row outlives. Sums of such durations stay exact in a double, which is
/// the number type of scripts in Redis.
const MAX_MILLIS: u64 = 100 * 366 * 24 * 3600 * 1000;

/// Whole milliseconds, rounded up so nothing ends too early.
pub(crate) fn millis(duration: Duration) -> u64 {
    let rounded = duration.as_nanos().div_ceil(1_000_000);
    u64::try_from(rounded).unwrap_or(u64::MAX).min(MAX_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_bounded() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_micros(2_001)), 3);
        assert_eq!(millis(Duration::from_secs(3600)), 3_600_000);
        assert_eq!(millis(Duration::MAX), MAX_MILLIS);
    }
}
