//! Findings that do not come from answers: what the service keeps, and its usage records.

use std::collections::BTreeSet;

use super::verdict::{FindingKind, Verdict};

/// What the service keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    pub(super) sessions: u64,
    pub(super) session_faces: u64,
    pub(super) replays: u64,
    pub(super) callbacks: u64,
    pub(super) redeliveries: u64,
    /// Replays that ended with an error.
    pub(super) errors: u64,
    pub(super) findings: Vec<(FindingKind, String)>,
}

impl Settlement {
    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        verdict.sessions = self.sessions;
        verdict.session_faces = self.session_faces;
        verdict.replays = self.replays;
        verdict.callbacks = self.callbacks;
        verdict.callback_redeliveries = self.redeliveries;
        if self.errors > 0 {
            verdict.failed.insert("replays that ended with ERROR".to_owned(), self.errors);
        }
        for (kind, what) in &self.findings {
            verdict.find(*kind, what.clone());
        }
    }
}

/// What the records say.
#[derive(Debug, Default)]
pub(super) struct UsageFindings {
    pub(super) records: u64,
    pub(super) requests: BTreeSet<String>,
    pub(super) findings: Vec<(FindingKind, String)>,
}

impl UsageFindings {
    /// Whether there is a record of an attempt.
    pub(super) fn knows(&self, request_id: &str) -> bool {
        self.requests.contains(request_id)
    }

    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        verdict.usage_records = Some(self.records);
        for (kind, what) in &self.findings {
            verdict.find(*kind, what.clone());
        }
    }
}
