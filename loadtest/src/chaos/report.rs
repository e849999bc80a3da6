//! What a run did and found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::fault::PlannedFault;
use super::inject::Injected;
use crate::oracle::Verdict;

/// A fault of a schedule, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct FaultRecord {
    /// The name of its kind.
    pub kind: &'static str,
    /// Seconds from the start of the load.
    pub at: f64,
    /// Seconds until it was healed, as planned.
    pub duration: f64,
    /// Which of several it concerned.
    pub target: usize,
    /// Seconds from its start until all that it concerned served again.
    pub recovered_after: f64,
    /// Why it did not happen, if this machine has no means for it.
    pub skipped: Option<String>,
    /// What went wrong with the fault or with the recovery from it.
    pub error: Option<String>,
}

/// What a run did and found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seed of the schedule and of the load.
    pub seed: u64,
    /// Seconds of load.
    pub seconds: f64,
    /// Requests that were planned.
    pub planned: usize,
    /// Requests that were not sent, since too many waited for their answers.
    pub not_sent: usize,
    /// The faults in the order of their times.
    pub faults: Vec<FaultRecord>,
    /// Programs that ended although nobody ended them.
    pub deaths: Vec<String>,
    /// Why the service did not work at the end, if it did not.
    pub probe_error: Option<String>,
    /// Messages of jobs and results that nobody has settled at the end, delivered ones included. There should be none.
    pub unsettled_messages: u64,
    /// Messages in the queue of dead letters at the end: those that nobody could read, and those of jobs that expired.
    pub dead_letters: u64,
    /// What became of the obligations.
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
    /// Whether nothing was lost, done twice or mixed up, all faults were recovered from, no message of a job is left over, no program
    /// died by itself, and the service works at the end.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict.is_conserved()
            && self.faults.iter().all(|fault| fault.error.is_none())
            && self.unsettled_messages == 0
            && self.deaths.is_empty()
            && self.probe_error.is_none()
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
        if let Some(error) = &self.probe_error {
            writeln!(f, "the service does not work at the end: {error}")?;
        }
        writeln!(f, "{}", self.verdict)?;
        let refused: u64 = self.verdict.refused.values().sum();
        let failed: u64 = self.verdict.failed.values().sum();
        writeln!(
            f,
            "not sent {}, unsettled messages {}, dead letters {}\nexpired {}, refused {refused}, failed {failed}, unknown {}",
            self.not_sent,
            self.unsettled_messages,
            self.dead_letters,
            self.verdict.expired,
            self.verdict.unknown
        )?;
        write!(
            f,
            "obligations {}: lost {}, duplicated {}, mixed up {}",
            self.verdict.obligations, self.verdict.lost, self.verdict.duplicated, self.verdict.mixed_up
        )
    }
}
