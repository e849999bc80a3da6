//! Findings from other sources than answers: stored resources, callbacks and usage records.

use std::collections::BTreeSet;

use super::verdict::{FindingKind, Verdict};

/// Findings about the sessions and replays that the service keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    pub(super) sessions: u64,
    pub(super) session_faces: u64,
    /// Sessions whose replay was judged, or ended with an error.
    pub(super) ended_replays: BTreeSet<String>,
    /// Replays that ended with an error.
    pub(super) errors: u64,
    /// Of these, replays that no fault disturbed.
    pub(super) unexcused_errors: u64,
    pub(super) findings: Vec<(FindingKind, String)>,
}

impl Settlement {
    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        verdict.sessions = self.sessions;
        verdict.session_faces = self.session_faces;
        verdict.replays = self.ended_replays.len() as u64 - self.errors;
        verdict.unexcused_failures += self.unexcused_errors;
        if self.errors > 0 {
            verdict.failed.insert("replays that ended with ERROR".to_owned(), self.errors);
        }
        for (kind, what) in &self.findings {
            verdict.find(*kind, what.clone());
        }
    }
}

/// Findings about callbacks.
#[derive(Clone, Debug, Default)]
pub(super) struct CallbackFindings {
    /// Distinct callbacks that were acknowledged.
    pub(super) acknowledged: u64,
    /// Deliveries beyond the first of each.
    pub(super) redeliveries: u64,
    pub(super) findings: Vec<(FindingKind, String)>,
}

impl CallbackFindings {
    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        verdict.callbacks = self.acknowledged;
        verdict.callback_redeliveries = self.redeliveries;
        for (kind, what) in &self.findings {
            verdict.find(*kind, what.clone());
        }
    }
}

/// Findings about usage records.
#[derive(Debug, Default)]
pub(super) struct UsageFindings {
    pub(super) records: u64,
    pub(super) requests: BTreeSet<String>,
    pub(super) findings: Vec<(FindingKind, String)>,
}

impl UsageFindings {
    /// Whether an attempt with this request id has a record.
    pub(super) fn has_record_of(&self, request_id: &str) -> bool {
        self.requests.contains(request_id)
    }

    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        verdict.usage_records = Some(self.records);
        for (kind, what) in &self.findings {
            verdict.find(*kind, what.clone());
        }
    }
}
