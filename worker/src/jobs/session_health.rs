//! Decides when sessions that keep failing are opened again, and when they are given up.

use std::time::Duration;

use faceline_shared::retry::Backoff;

/// After this many inference failures in a row, a thread opens its sessions again. After as many further ones, its
/// sessions count as broken.
pub(super) const MAX_FAILURES_IN_A_ROW: u32 = 3;

/// Reaction to an inference failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureAction {
    /// Go on with the same sessions.
    Continue,
    /// Open the sessions again.
    Reopen,
    /// Take no more jobs until the sessions run again.
    GiveUp,
}

/// Counts the inference failures of one thread's sessions.
#[derive(Debug, Default)]
pub(super) struct SessionHealth {
    failures_in_a_row: u32,
    /// Whether the sessions were opened again since the last success.
    reopened: bool,
    /// Attempts to recover since the last success.
    recoveries: u32,
}

impl SessionHealth {
    /// A model ran without a failure.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A model failed.
    pub(super) fn failed(&mut self) -> FailureAction {
        self.failures_in_a_row += 1;
        if self.failures_in_a_row < MAX_FAILURES_IN_A_ROW {
            return FailureAction::Continue;
        }
        self.failures_in_a_row = 0;
        if std::mem::replace(&mut self.reopened, true) {
            FailureAction::GiveUp
        } else {
            FailureAction::Reopen
        }
    }

    /// The delay before the next attempt to recover. It grows until a job succeeds, because sessions may pass the
    /// warm-up but fail every job.
    pub(super) fn recovery_delay(&mut self) -> Duration {
        self.recoveries = self.recoveries.saturating_add(1);
        Backoff::CONNECTION.delay(self.recoveries)
    }
}

#[cfg(test)]
mod tests {
    use super::FailureAction::{Continue, GiveUp, Reopen};
    use super::*;

    #[test]
    fn sessions_are_opened_again_before_they_are_given_up() {
        let mut health = SessionHealth::default();
        let actions: Vec<_> = (0..9).map(|_| health.failed()).collect();
        assert_eq!(
            actions,
            [Continue, Continue, Reopen, Continue, Continue, GiveUp, Continue, Continue, GiveUp]
        );
    }

    #[test]
    fn a_success_forgets_all_failures() {
        let mut health = SessionHealth::default();
        for _ in 0..4 {
            assert_eq!([health.failed(), health.failed()], [Continue; 2]);
            health.succeeded();
        }
        assert_eq!([health.failed(), health.failed(), health.failed()], [Continue, Continue, Reopen]);
        health.succeeded();
        assert_eq!([health.failed(), health.failed(), health.failed()], [Continue, Continue, Reopen]);
    }
}
