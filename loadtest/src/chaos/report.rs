//! The report of a run.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::fault::PlannedFault;
use super::inject::Injected;
use crate::oracle::Verdict;

/// The part of the planned requests that must be answered. Faults last at most half of their slots, and refused callers
/// retry for a minute, so a service that recovers answers far more than half. A refused request cannot be lost, so a
/// run with fewer answers proves little.
const MIN_ANSWERED: f64 = 0.5;

/// A fault of a schedule, with its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct FaultRecord {
    /// The name of its kind.
    pub kind: &'static str,
    /// Seconds from the start of the load.
    pub at: f64,
    /// Seconds until it was healed, as planned.
    pub duration: f64,
    /// The process or server that it concerned, as [`PlannedFault::target`].
    pub target: usize,
    /// Seconds from its start until it was undone and all gateways and workers were ready and reached all services.
    pub recovered_after: f64,
    /// Why it did not happen, if this machine has no means for it.
    pub skipped: Option<String>,
    /// The error of the injection or of the recovery.
    pub error: Option<String>,
}

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seed of the schedule and of the load.
    pub seed: u64,
    /// Seconds of load.
    pub seconds: f64,
    /// Requests that were planned.
    pub planned: usize,
    /// Of these, requests that were answered: sessions and replays with all of their steps.
    pub answered: usize,
    /// Requests that were not sent, because too many others waited for their answers.
    pub not_sent: usize,
    /// The faults in the order of their times.
    pub faults: Vec<FaultRecord>,
    /// Unplanned ends of programs, with their exit statuses and log files.
    pub deaths: Vec<String>,
    /// Failures of the probes at the end: operations of a gateway, or workers without a job.
    pub probe_errors: Vec<String>,
    /// Checks that could not be made at the end, with the reasons. The verdict lacks their findings.
    pub check_errors: Vec<String>,
    /// Messages of jobs and results that are unsettled at the end, delivered ones included. There must be none. `None`
    /// if they could not be counted.
    pub unsettled_messages: Option<u64>,
    /// Messages in the queue of dead letters at the end: those that no worker could read, and those of jobs that
    /// expired. `None` if they could not be counted.
    pub dead_letters: Option<u64>,
    /// The verdict of the oracle.
    pub verdict: Verdict,
}

impl FaultRecord {
    pub(super) fn new(fault: &PlannedFault, recovered_after: f64, end: anyhow::Result<Injected>) -> Self {
        let (skipped, error) = match end {
            Ok(Injected::Done) => (None, None),
            Ok(Injected::Skipped(reason)) => (Some(reason), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        Self {
            kind: fault.kind.name(),
            at: fault.at.as_secs_f64(),
            duration: fault.duration.as_secs_f64(),
            target: fault.target,
            recovered_after,
            skipped,
            error,
        }
    }
}

impl Report {
    /// Whether the run meets all requirements:
    ///
    /// - nothing was lost, done twice or mixed up;
    /// - each request was sent, and failed at most while a fault disturbed it;
    /// - at least half of the requests were answered;
    /// - the site recovered from all faults, and no program died by itself;
    /// - no message of a job is left over;
    /// - the service works at the end;
    /// - all of this could be checked.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict.is_conserved()
            && self.verdict.unexcused_failures == 0
            && self.answers_enough()
            && self.not_sent == 0
            && self.faults.iter().all(|fault| fault.error.is_none())
            && self.unsettled_messages == Some(0)
            && self.deaths.is_empty()
            && self.probe_errors.is_empty()
            && self.check_errors.is_empty()
    }

    /// Number of faults that were not injected, because this machine has no means for them.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.faults.iter().filter(|fault| fault.skipped.is_some()).count()
    }

    fn answers_enough(&self) -> bool {
        self.planned > 0 && self.answered as f64 >= self.planned as f64 * MIN_ANSWERED
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for fault in self.faults.iter().filter(|fault| fault.skipped.is_none()) {
            *kinds.entry(fault.kind).or_default() += 1;
        }
        writeln!(f, "seed {}, {:.0} s of load", self.seed, self.seconds)?;
        writeln!(f, "faults injected {}, of {} kinds:", kinds.values().sum::<usize>(), kinds.len())?;
        for (kind, count) in &kinds {
            writeln!(f, "  {count}  {kind}")?;
        }
        for fault in &self.faults {
            if let Some(reason) = &fault.skipped {
                writeln!(f, "  skipped: {}: {reason}", fault.kind)?;
            }
            if let Some(error) = &fault.error {
                writeln!(f, "  FAILED at {:.1} s: {}: {error}", fault.at, fault.kind)?;
            }
        }
        for death in &self.deaths {
            writeln!(f, "ended by itself: {death}")?;
        }
        for error in &self.probe_errors {
            writeln!(f, "does not work at the end: {error}")?;
        }
        for error in &self.check_errors {
            writeln!(f, "could not be checked: {error}")?;
        }
        writeln!(f, "{}", self.verdict)?;
        if !self.answers_enough() {
            writeln!(f, "too few answers: {} of {}", self.answered, self.planned)?;
        }
        let counted =
            |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
        let refused: u64 = self.verdict.refused.values().sum();
        let failed: u64 = self.verdict.failed.values().sum();
        writeln!(
            f,
            "not sent {}, unsettled messages {}, dead letters {}",
            self.not_sent,
            counted(self.unsettled_messages),
            counted(self.dead_letters)
        )?;
        writeln!(
            f,
            "expired {} (attempts: {}), refused {refused}, failed {failed} (without a fault: {}), unknown {}",
            self.verdict.expired,
            self.verdict.expired_attempts,
            self.verdict.unexcused_failures,
            self.verdict.unknown
        )?;
        write!(
            f,
            "obligations {}: lost {}, duplicated {}, mixed up {}",
            self.verdict.obligations, self.verdict.lost, self.verdict.duplicated, self.verdict.mixed_up
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fault::FaultKind;
    use super::*;

    fn good() -> Report {
        let fault = PlannedFault {
            kind: FaultKind::WorkerKilled,
            at: Duration::ZERO,
            duration: Duration::from_secs(1),
            target: 0,
        };
        Report {
            seed: 1,
            seconds: 8.0,
            planned: 4,
            answered: 2,
            not_sent: 0,
            faults: vec![FaultRecord::new(&fault, 3.0, Ok(Injected::Done))],
            deaths: Vec::new(),
            probe_errors: Vec::new(),
            check_errors: Vec::new(),
            unsettled_messages: Some(0),
            dead_letters: Some(5),
            verdict: Verdict::default(),
        }
    }

    #[test]
    fn each_failing_condition_alone_makes_a_report_bad() {
        assert!(good().is_good(), "{}", good());
        type Change = fn(&mut Report);
        let changes: [(&str, Change); 12] = [
            ("lost", |report| report.verdict.lost = 1),
            ("duplicated", |report| report.verdict.duplicated = 1),
            ("mixed up", |report| report.verdict.mixed_up = 1),
            ("failed without a fault", |report| report.verdict.unexcused_failures = 1),
            ("fewer than half are answered", |report| report.answered = 1),
            ("not sent", |report| report.not_sent = 1),
            ("no recovery", |report| report.faults[0].error = Some(String::new())),
            ("unsettled messages", |report| report.unsettled_messages = Some(1)),
            ("unknown messages", |report| report.unsettled_messages = None),
            ("a death", |report| report.deaths.push(String::new())),
            ("does not work", |report| report.probe_errors.push(String::new())),
            ("not checked", |report| report.check_errors.push(String::new())),
        ];
        for (name, change) in changes {
            let mut report = good();
            change(&mut report);
            assert!(!report.is_good(), "{name}");
        }
    }

    #[test]
    fn a_skipped_fault_is_counted_and_makes_no_report_bad() {
        let mut report = good();
        report.faults[0].skipped = Some("no root".to_owned());
        assert!(report.is_good(), "{report}");
        assert_eq!((report.skipped(), good().skipped()), (1, 0));
    }
}
