//! The conclusion: what became of each obligation.

use super::classify::AttemptEnd;
use super::ledger::{Attempt, Book, Disturbance, Ledger, Obligation};
use super::verdict::{FindingKind, Verdict};

impl Ledger {
    /// What became of all obligations so far. Call it after a quiet time, [`settle`](super::settle) and, where there are usage
    /// records, [`reconcile_usage`](super::reconcile_usage).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let book = self.book();
        let mut verdict = Verdict { obligations: book.obligations.len() as u64, ..Verdict::default() };
        for obligation in &book.obligations {
            conclude(&mut verdict, &book, obligation);
        }
        book.settled.conclude(&mut verdict);
        if let Some(usage) = &book.usage {
            usage.conclude(&mut verdict);
        }
        verdict
    }
}

fn conclude(verdict: &mut Verdict, book: &Book, obligation: &Obligation) {
    let of = |attempt: &Attempt| format!("{:?} {}", obligation.operation, attempt.request_id);
    verdict.attempts += obligation.attempts.len() as u64;
    for attempt in &obligation.attempts {
        match &attempt.ended {
            Some((_, AttemptEnd::Refused { has_retry_after, .. })) => {
                verdict.refusals += 1;
                verdict.refusals_without_retry_after += u64::from(!has_retry_after);
            }
            Some((_, AttemptEnd::MixedUp(why))) => {
                verdict.find(FindingKind::MixedUp, format!("{}: {why}", of(attempt)));
            }
            _ => (),
        }
    }
    let created = obligation.created();
    if created.len() > 1 {
        let first = obligation.attempts.first().map(of).unwrap_or_default();
        verdict.find(FindingKind::Twice, format!("{first}: one key created {created:?}"));
    }
    let was_broken = obligation
        .attempts
        .iter()
        .any(|attempt| matches!(&attempt.ended, Some((_, AttemptEnd::Broken(_) | AttemptEnd::Silent))));
    if obligation.is_answered() {
        verdict.answered += 1;
        verdict.settled += u64::from(was_broken);
        return;
    }
    let Some(last) = obligation.attempts.last() else { return };
    match &last.ended {
        Some((_, AttemptEnd::Refused { cause, .. })) => {
            *verdict.refused.entry(cause.clone()).or_default() += 1
        }
        Some((_, AttemptEnd::Failed(why))) => {
            *verdict.failed.entry(why.clone()).or_default() += 1;
            verdict.find(FindingKind::Failed, format!("{}: {why}", of(last)));
        }
        Some((_, AttemptEnd::Expired)) => verdict.expired += 1,
        Some((_, AttemptEnd::NoResult)) if is_disturbed(&book.disturbances, last) => verdict.expired += 1,
        Some((_, AttemptEnd::NoResult)) => {
            verdict.find(FindingKind::Lost, format!("{}: no result of a job that a worker had", of(last)));
        }
        Some((_, AttemptEnd::Broken(_)))
            if book.usage.as_ref().is_some_and(|usage| usage.knows(&last.request_id)) =>
        {
            verdict.settled += 1;
        }
        Some((_, AttemptEnd::Broken(_))) => verdict.unknown += 1,
        // A connection that is open and silent was stalled by a fault, or the service forgot the request.
        Some((_, AttemptEnd::Silent)) if is_disturbed(&book.disturbances, last) => verdict.unknown += 1,
        Some((_, AttemptEnd::Silent)) => {
            verdict.find(FindingKind::Lost, format!("{}: no answer, and the connection is open", of(last)));
        }
        None => verdict.find(FindingKind::Lost, format!("{}: its caller still waits", of(last))),
        // Mixed-up answers are counted above; `Answered` has returned.
        Some((_, AttemptEnd::MixedUp(_) | AttemptEnd::Answered)) => (),
    }
}

fn is_disturbed(disturbances: &[Disturbance], attempt: &Attempt) -> bool {
    let ended = attempt.ended.as_ref().map(|(at, _)| *at);
    disturbances.iter().any(|time| time.from <= ended.unwrap_or(time.from) && attempt.began <= time.to)
}
