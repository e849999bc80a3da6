//! A count with exponential decay.

use std::time::{Duration, Instant};

/// A count of events in which an event of age `t` weighs `exp(-t / TIME_CONSTANT)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecayingCount {
    /// The weighted count at `updated_at`.
    count: f64,
    updated_at: Instant,
}

impl DecayingCount {
    /// After this time an event weighs 1/e (37 %).
    pub(super) const TIME_CONSTANT: Duration = Duration::from_secs(10);

    pub(super) fn new(now: Instant) -> Self {
        Self { count: 0.0, updated_at: now }
    }

    pub(super) fn count(&self, now: Instant) -> f64 {
        self.count * Self::decay(now.saturating_duration_since(self.updated_at))
    }

    pub(super) fn add(&mut self, now: Instant, events: usize) {
        self.count = self.count(now) + events as f64;
        self.updated_at = now;
    }

    /// The weight of an event of this age, in `0.0..=1.0`.
    pub(super) fn decay(age: Duration) -> f64 {
        (-age.div_duration_f64(Self::TIME_CONSTANT)).exp()
    }
}
