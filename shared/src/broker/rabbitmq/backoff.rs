//! Pauses between attempts to connect: they double up to a cap, never end, and are spread at random so that many
//! processes do not come back in step.

use std::time::Duration;

use rand::RngExt;

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { pause: FIRST }
    }

    /// The next pause: between half and all of what doubling gives.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(CAP);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_differ() {
        let mut backoff = Backoff::new();
        for attempt in 0..100 {
            let full = FIRST.saturating_mul(1 << attempt.min(20)).min(CAP);
            let pause = backoff.next();
            assert!(pause >= full / 2 && pause <= full, "attempt {attempt}: {pause:?} of {full:?}");
        }
        let spread: std::collections::BTreeSet<_> = (0..20).map(|_| Backoff::new().next()).collect();
        assert!(spread.len() > 10);
    }
}
