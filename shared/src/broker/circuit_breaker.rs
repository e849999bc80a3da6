//! A circuit breaker for publishing.

use std::time::Duration;

use tokio::time::Instant;

use super::port::Published;

/// This many unknown outcomes in a row open the breaker.
pub(super) const MAX_UNKNOWNS_IN_A_ROW: u32 = 10;

/// While the breaker is open, one publish per interval passes as a probe.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Opens after [`MAX_UNKNOWNS_IN_A_ROW`] publishes without a confirm, and closes at the first confirmed or refused one.
/// While it is open, callers fail at once instead of waiting for confirms that do not come.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    unknowns_in_a_row: u32,
    /// Time of the next probe while the breaker is open; `None` while it is closed.
    next_probe: Option<Instant>,
}

impl CircuitBreaker {
    /// Whether a publish at `now` passes. An open breaker passes a probe when one is due.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        match self.next_probe {
            None => true,
            Some(due) if due <= now => {
                self.next_probe = Some(now + PROBE_INTERVAL);
                true
            }
            Some(_) => false,
        }
    }

    pub(super) fn record(&mut self, outcome: Published, now: Instant) {
        match outcome {
            Published::Unknown => {
                self.unknowns_in_a_row += 1;
                if self.unknowns_in_a_row >= MAX_UNKNOWNS_IN_A_ROW && self.next_probe.is_none() {
                    tracing::warn!(
                        self.unknowns_in_a_row,
                        "the broker confirms nothing; the circuit breaker opens"
                    );
                    self.next_probe = Some(now + PROBE_INTERVAL);
                }
            }
            Published::Accepted | Published::Full | Published::Returned => *self = Self::default(),
            Published::Blocked | Published::Unreachable => (),
        }
    }
}
