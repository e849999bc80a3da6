//! The verdict: the outcomes of all obligations, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// At most this many findings of a kind are kept with their text; all are counted.
const MAX_FINDINGS: usize = 20;

/// A kind of finding. The first three must not happen, whatever fails.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Something that the service accepted was neither done nor accounted for.
    Lost,
    /// Something was done twice: two resources for one key, two callbacks, two usage records.
    Duplicated,
    /// A request was answered with the result of another.
    MixedUp,
    /// An error other than a refusal.
    Failed,
}

/// A finding of the oracle.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The kind.
    pub kind: FindingKind,
    /// The finding as text, with the request that it concerns.
    pub what: String,
}

/// The outcomes of all obligations, in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Obligations.
    pub obligations: u64,
    /// Requests that were sent for them.
    pub attempts: u64,
    /// Obligations that ended with their own result.
    pub answered: u64,
    /// Obligations, resources, callbacks and usage records that were accepted and neither done nor accounted for.
    pub lost: u64,
    /// Resources, callbacks and usage records that were made twice.
    pub duplicated: u64,
    /// Answers with the result of another payload.
    pub mixed_up: u64,
    /// Obligations that the service accepted, and that ended by its deadline: they waited in the queue, or faults held
    /// them.
    pub expired: u64,
    /// Of these, obligations that ended without a result because faults held them.
    pub held: u64,
    /// Attempts that expired in the queue, whatever became of their obligations afterwards.
    pub expired_attempts: u64,
    /// Obligations whose last attempt was refused, by cause.
    pub refused: BTreeMap<String, u64>,
    /// Attempts that were refused.
    pub refusals: u64,
    /// Of these, refusals without `Retry-After`.
    pub refusals_without_retry_after: u64,
    /// Obligations that ended with another error, by status and message.
    pub failed: BTreeMap<String, u64>,
    /// Of these, obligations that no fault disturbed.
    pub unexcused_failures: u64,
    /// Obligations whose connection broke, and of which nothing shows whether they were done.
    pub unknown: u64,
    /// Obligations whose connection broke, and whose end was found later: by a repeated key or a usage record.
    pub settled: u64,
    /// Sessions that were checked.
    pub sessions: u64,
    /// Faces of sessions that were checked.
    pub session_faces: u64,
    /// Replays that have ended.
    pub replays: u64,
    /// Distinct callbacks that were acknowledged.
    pub callbacks: u64,
    /// Deliveries of callbacks beyond the first of each.
    pub callback_redeliveries: u64,
    /// Usage records that belong to attempts of this run; `None` if none were read.
    pub usage_records: Option<u64>,
    /// The first findings of each kind.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether nothing was lost, done twice or mixed up.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.mixed_up == 0
    }

    pub(super) fn find(&mut self, kind: FindingKind, what: String) {
        match kind {
            FindingKind::Lost => self.lost += 1,
            FindingKind::Duplicated => self.duplicated += 1,
            FindingKind::MixedUp => self.mixed_up += 1,
            FindingKind::Failed => (),
        }
        if self.findings.iter().filter(|finding| finding.kind == kind).count() < MAX_FINDINGS {
            self.findings.push(Finding { kind, what });
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        let failed: u64 = self.failed.values().sum();
        writeln!(
            formatter,
            "obligations {}, attempts {} ({} expired): answered {}, refused {refused}, expired {} ({} held by faults), failed {failed} ({} without a fault), unknown {}, settled {}",
            self.obligations,
            self.attempts,
            self.expired_attempts,
            self.answered,
            self.expired,
            self.held,
            self.unexcused_failures,
            self.unknown,
            self.settled
        )?;
        write!(
            formatter,
            "sessions {}, their faces {}, replays {}, callbacks {} ({} redelivered)",
            self.sessions, self.session_faces, self.replays, self.callbacks, self.callback_redeliveries
        )?;
        if let Some(records) = self.usage_records {
            write!(formatter, ", usage records {records}")?;
        }
        writeln!(formatter)?;
        for (cause, count) in &self.refused {
            writeln!(formatter, "  refused {count}: {cause}")?;
        }
        for (cause, count) in &self.failed {
            writeln!(formatter, "  failed {count}: {cause}")?;
        }
        for Finding { kind, what } in &self.findings {
            writeln!(formatter, "  {kind:?}: {what}")?;
        }
        write!(
            formatter,
            "lost {}, answered twice {}, answered with another's result {}",
            self.lost, self.duplicated, self.mixed_up
        )
    }
}
