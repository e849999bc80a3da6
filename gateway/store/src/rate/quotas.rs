//! Counts requests against quotas in this process.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::terms::Quota;
use super::verdict::LimitStatus;

/// The counts of a key.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    /// Name of the span that the counts are for.
    span: String,
    /// Requests that passed in this process.
    used: u64,
    /// Requests that had passed in all processes when this one last learned about them.
    #[serde(default, skip_serializing_if = "is_zero")]
    elsewhere: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The counts of all keys.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    keys: HashMap<String, Counted>,
    /// Whether a request was counted since the last [`Quotas::take_changed`].
    is_changed: bool,
}

impl Quotas {
    pub(super) fn new(keys: HashMap<String, Counted>) -> Self {
        Self { keys, is_changed: false }
    }

    /// The rest of `key`'s quota at `at`, if this process is one of `among` processes that share the rest.
    pub(super) fn status(&mut self, key: &str, quota: Quota, among: u32, at: OffsetDateTime) -> LimitStatus {
        let reset = (quota.span.end(at) - at).unsigned_abs();
        let counted = self.current(key, quota, at);
        // The processes share the rest as of the last `learn`. Requests that have passed in this process
        // since then are deducted from its share.
        let share = quota.requests.saturating_sub(counted.elsewhere) / u64::from(among.max(1));
        LimitStatus { limit: quota.requests, remaining: share.saturating_sub(counted.used), reset }
    }

    /// Counts one more request of `key` that passed.
    pub(super) fn count(&mut self, key: &str, quota: Quota, at: OffsetDateTime) {
        self.current(key, quota, at).used += 1;
        self.is_changed = true;
    }

    /// Stores that `used` requests have passed in all processes.
    pub(super) fn learn(&mut self, key: &str, quota: Quota, used: u64, at: OffsetDateTime) {
        let counted = self.current(key, quota, at);
        (counted.used, counted.elsewhere) = (0, used);
    }

    /// All counts, if any of them changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<HashMap<String, Counted>> {
        std::mem::take(&mut self.is_changed).then(|| self.keys.clone())
    }

    /// Marks the counts as changed, because they could not be saved.
    pub(super) fn mark_changed(&mut self) {
        self.is_changed = true;
    }

    /// The counts of `key` in the current span.
    fn current(&mut self, key: &str, quota: Quota, at: OffsetDateTime) -> &mut Counted {
        let counted = self.keys.entry(key.to_owned()).or_default();
        let span = quota.span.name(at);
        if counted.span != span {
            *counted = Counted { span, ..Counted::default() };
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::rate::terms::QuotaSpan;

    const QUOTA: Quota = Quota { requests: 3, span: QuotaSpan::Day };

    #[test]
    fn a_new_day_begins_anew() {
        let mut quotas = Quotas::default();
        let evening = datetime!(2026-11-22 23:59:30 UTC);
        for remaining in [3, 2, 1] {
            assert_eq!(quotas.status("a", QUOTA, 1, evening).remaining, remaining);
            quotas.count("a", QUOTA, evening);
        }
        let status = quotas.status("a", QUOTA, 1, evening);
        assert_eq!(status, LimitStatus { limit: 3, remaining: 0, reset: Duration::from_secs(30) });
        assert_eq!(quotas.status("b", QUOTA, 1, evening).remaining, 3);
        assert_eq!(quotas.status("a", QUOTA, 1, datetime!(2026-11-23 0:00 UTC)).remaining, 3);
    }

    #[test]
    fn what_is_left_elsewhere_is_shared() {
        let at = datetime!(2026-11-22 12:00 UTC);
        let quota = Quota { requests: 100, span: QuotaSpan::Month };
        let mut quotas = Quotas::default();
        quotas.count("a", quota, at);
        quotas.learn("a", quota, 40, at);
        assert_eq!(quotas.status("a", quota, 3, at).remaining, 20);
        quotas.count("a", quota, at);
        assert_eq!(quotas.status("a", quota, 3, at).remaining, 19);
        quotas.learn("a", quota, 200, at);
        assert_eq!(quotas.status("a", quota, 3, at).remaining, 0);
    }
}
