//! Draws the verdict from the ledger: the outcome of each obligation.

use std::time::{Duration, Instant};

use super::classify::AttemptEnd;
use super::ledger::{Attempt, Book, Disturbance, Ledger, Obligation};
use super::verdict::{FindingKind, Verdict};

/// A job gets its result if no fault disturbs it for this time: by then the broker has delivered it again, or the
/// gateway has published it again, and a worker has done it.
const UNDISTURBED: Duration = Duration::from_secs(8);

impl Ledger {
    /// Returns the outcomes of all obligations so far. Call it after a quiet time, after [`settle`](super::settle) and,
    /// if usage records are compared, after [`reconcile_usage`](super::reconcile_usage).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let book = self.book();
        let mut verdict = Verdict { obligations: book.obligations.len() as u64, ..Verdict::default() };
        for obligation in &book.obligations {
            conclude(&mut verdict, &book, obligation);
        }
        book.settled.conclude(&mut verdict);
        book.callbacks.conclude(&mut verdict);
        if let Some(usage) = &book.usage {
            usage.conclude(&mut verdict);
        }
        verdict
    }
}

fn conclude(verdict: &mut Verdict, book: &Book, obligation: &Obligation) {
    let mut was_answered = false;
    for attempt in &obligation.attempts {
        conclude_attempt(verdict, book, obligation, attempt);
        // A repeated request with the same key must get the first answer again.
        if let Some((_, AttemptEnd::Failed(why))) = &attempt.ended
            && was_answered
        {
            verdict.unexcused_failures += u64::from(disturbances_of(book, attempt).is_empty());
            let what = format!("{}: after its answer: {why}", named(obligation, attempt));
            verdict.find(FindingKind::Failed, what);
        }
        was_answered |= attempt.is(&AttemptEnd::Answered);
    }
    let created = obligation.created();
    if created.len() > 1 {
        let first = obligation.attempts.first().map(|attempt| named(obligation, attempt)).unwrap_or_default();
        verdict.find(FindingKind::Duplicated, format!("{first}: one key created {created:?}"));
    }
    if obligation.is_answered() {
        verdict.answered += 1;
        verdict.settled += u64::from(obligation.was_interrupted());
        return;
    }
    let Some(last) = obligation.attempts.last() else { return };
    match &last.ended {
        // `conclude_attempt` has counted this as lost: no fault explains the silence.
        Some((_, AttemptEnd::Silent)) if !is_excused(book, last) => (),
        Some((_, AttemptEnd::Broken(_) | AttemptEnd::Silent | AttemptEnd::Refused { .. }))
            if obligation.was_interrupted() =>
        {
            // A usage record of an attempt without an answer shows what became of it.
            let is_known = |attempt: &Attempt| {
                let usage = book.usage.as_ref();
                attempt.was_unanswered()
                    && usage.is_some_and(|usage| usage.has_record_of(&attempt.request_id))
            };
            if obligation.attempts.iter().any(is_known) {
                verdict.settled += 1;
            } else {
                verdict.unknown += 1;
            }
        }
        Some((_, AttemptEnd::Refused { cause, .. })) => {
            *verdict.refused.entry(cause.clone()).or_default() += 1;
        }
        Some((_, AttemptEnd::Failed(why))) => {
            *verdict.failed.entry(why.clone()).or_default() += 1;
            verdict.unexcused_failures += u64::from(disturbances_of(book, last).is_empty());
            verdict.find(FindingKind::Failed, format!("{}: {why}", named(obligation, last)));
        }
        Some((_, AttemptEnd::Expired)) => verdict.expired += 1,
        Some((_, AttemptEnd::NoResult)) if is_excused(book, last) => {
            verdict.expired += 1;
            verdict.held += 1;
        }
        // `Answered`, `Broken` and `Silent` are handled above. `conclude_attempt` has counted the others.
        Some((
            _,
            AttemptEnd::NoResult
            | AttemptEnd::Silent
            | AttemptEnd::Broken(_)
            | AttemptEnd::MixedUp(_)
            | AttemptEnd::Answered,
        ))
        | None => (),
    }
}

/// Counts the end of one attempt. A violation counts even if a later attempt succeeds: a retry does not undo a loss.
fn conclude_attempt(verdict: &mut Verdict, book: &Book, obligation: &Obligation, attempt: &Attempt) {
    verdict.attempts += 1;
    let mut lost =
        |why: &str| verdict.find(FindingKind::Lost, format!("{}: {why}", named(obligation, attempt)));
    match &attempt.ended {
        Some((_, AttemptEnd::Refused { has_retry_after, .. })) => {
            verdict.refusals += 1;
            verdict.refusals_without_retry_after += u64::from(!has_retry_after);
        }
        Some((_, AttemptEnd::MixedUp(why))) => {
            verdict.find(FindingKind::MixedUp, format!("{}: {why}", named(obligation, attempt)));
        }
        Some((_, AttemptEnd::Expired)) => {
            if book.has_spare_capacity && !is_excused(book, attempt) {
                lost("it expired, though the service had the time to do it");
            }
            verdict.expired_attempts += 1;
        }
        Some((_, AttemptEnd::NoResult)) if !is_excused(book, attempt) => {
            lost("no result of a job that a worker had");
        }
        Some((_, AttemptEnd::Silent)) if !is_excused(book, attempt) => {
            lost("no answer, and the connection is open");
        }
        None => lost("its caller still waits"),
        Some(_) => (),
    }
}

fn named(obligation: &Obligation, attempt: &Attempt) -> String {
    format!("{:?} {}", obligation.operation, attempt.request_id)
}

/// Returns the disturbances that held jobs during the attempt, sorted by start; none if the attempt has not ended.
pub(super) fn disturbances_of<'a>(book: &'a Book, attempt: &Attempt) -> Vec<&'a Disturbance> {
    let Some((ended, _)) = attempt.ended else { return Vec::new() };
    let holding = book.disturbances.iter().filter(|time| time.holds_jobs);
    let during = holding.filter(|time| time.from <= ended && attempt.began <= time.to);
    let mut during: Vec<_> = during.collect();
    during.sort_by_key(|time| time.from);
    during
}

/// Whether faults explain that an attempt had no result: they disturbed it, and left it no undisturbed time of at least
/// `UNDISTURBED`.
fn is_excused(book: &Book, attempt: &Attempt) -> bool {
    let Some((ended, _)) = attempt.ended else { return false };
    let during = disturbances_of(book, attempt);
    !during.is_empty() && longest_undisturbed(&during, attempt.began, ended) < UNDISTURBED
}

/// The longest time without a disturbance between `from` and `to`. `disturbances` must be sorted by start.
fn longest_undisturbed(disturbances: &[&Disturbance], from: Instant, to: Instant) -> Duration {
    let (mut longest, mut quiet_since) = (Duration::ZERO, from);
    for time in disturbances {
        longest = longest.max(time.from.saturating_duration_since(quiet_since));
        quiet_since = quiet_since.max(time.to);
    }
    longest.max(to.saturating_duration_since(quiet_since))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use reqwest::Client;
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};

    use super::super::{Answer, AttemptId, Expected, ObligationId, Operation};
    use super::*;

    /// Any answer takes longer than four fifths of this.
    const PAST_DEADLINE: Duration = Duration::ZERO;
    const DEADLINE: Duration = Duration::from_secs(60);

    struct Run(Ledger);

    impl Run {
        fn new(deadline: Duration) -> Self {
            Self(Ledger::new("run", deadline))
        }

        fn open(&self) -> ObligationId {
            self.0.open(Operation::CreateSession, Expected::Session { correlation_id: String::new() }, "demo")
        }

        fn begin(&self) -> AttemptId {
            self.0.begin(self.open()).0
        }

        fn answered(&self, attempt: AttemptId, status: u16, location: &'static str) {
            let headers = [(LOCATION, location), (RETRY_AFTER, "1")];
            let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
            self.0.answered(attempt, &Answer::new(status, &HeaderMap::from_iter(headers), Bytes::new()));
        }
    }

    #[test]
    fn each_obligation_is_counted_once_whatever_its_attempts() {
        let run = Run::new(DEADLINE);
        let retried = run.open();
        run.answered(run.0.begin(retried).0, 429, "/a");
        run.answered(run.0.begin(retried).0, 201, "/a");
        run.answered(run.begin(), 503, "");
        run.answered(run.begin(), 400, "");
        run.0.broke(run.begin(), None, "reset");
        let given_up = run.open();
        run.0.broke(run.0.begin(given_up).0, None, "reset");
        run.answered(run.0.begin(given_up).0, 503, "");
        let verdict = run.0.verdict();
        assert_eq!((verdict.obligations, verdict.attempts, verdict.answered), (5, 7, 1), "{verdict}");
        assert_eq!((verdict.refusals, verdict.refused.len(), verdict.failed.len()), (3, 1, 1), "{verdict}");
        assert_eq!((verdict.unknown, verdict.settled), (2, 0), "{verdict}");
        assert!(verdict.is_conserved());
    }

    #[test]
    fn a_request_without_an_end_or_without_a_result_is_lost() {
        let run = Run::new(PAST_DEADLINE);
        run.begin();
        run.0.silent(run.begin());
        run.answered(run.begin(), 500, "");
        run.answered(run.begin(), 503, "");
        let verdict = run.0.verdict();
        assert_eq!((verdict.lost, verdict.expired), (3, 1), "{verdict}");
    }

    #[test]
    fn a_job_that_expires_without_a_fault_is_lost_where_the_service_has_the_time_to_do_it() {
        let counts = |run: &Run| {
            let verdict = run.0.verdict();
            (verdict.lost, verdict.expired, verdict.expired_attempts)
        };
        let expire_and_answer = |run: &Run| {
            let id = run.open();
            let (expired, _) = run.0.begin(id);
            run.answered(expired, 429, "");
            run.answered(run.0.begin(id).0, 201, "/a");
            run.answered(run.begin(), 503, "");
        };
        let overloaded = Run::new(PAST_DEADLINE);
        expire_and_answer(&overloaded);
        assert_eq!(counts(&overloaded), (0, 1, 2));
        let idle = Run(Ledger::new("run", PAST_DEADLINE).with_spare_capacity());
        expire_and_answer(&idle);
        assert_eq!(counts(&idle), (2, 1, 2), "the answer of a later attempt does not undo a loss");
        let now = Instant::now();
        idle.0.disturbed(now.checked_sub(DEADLINE).unwrap(), now);
        assert_eq!(counts(&idle), (0, 1, 2), "a fault explains both");
    }

    #[test]
    fn a_silent_attempt_is_lost_even_if_the_request_turns_out_to_be_done() {
        let run = Run::new(DEADLINE);
        let id = run.open();
        run.0.silent(run.0.begin(id).0);
        run.answered(run.0.begin(id).0, 201, "/a");
        let verdict = run.0.verdict();
        assert_eq!((verdict.lost, verdict.answered, verdict.settled), (1, 1, 1), "{verdict}");
    }

    #[test]
    fn a_repeated_key_that_gets_an_error_after_its_answer_has_failed() {
        let run = Run::new(DEADLINE);
        let repeat = Arc::new(|url: &str| Client::new().get(url));
        let expected = Expected::Session { correlation_id: String::new() };
        let id = run.0.open_repeatable(Operation::CreateSession, expected, "demo", "key", repeat);
        run.answered(run.0.begin(id).0, 201, "/a");
        run.answered(run.0.begin(id).0, 500, "");
        let verdict = run.0.verdict();
        assert_eq!((verdict.answered, verdict.unexcused_failures), (1, 1), "{verdict}");
    }

    #[test]
    fn a_killed_gateway_explains_a_repeated_callback_and_no_lost_job() {
        let run = Run::new(PAST_DEADLINE);
        let from = Instant::now();
        run.answered(run.begin(), 500, "");
        run.0.deliveries_disturbed(from, Instant::now());
        assert_eq!(run.0.verdict().lost, 1);
        run.0.disturbed(from, Instant::now());
        assert_eq!(run.0.verdict().lost, 0);
    }

    #[test]
    fn failures_that_no_fault_explains_are_counted_apart() {
        let run = Run::new(DEADLINE);
        run.answered(run.begin(), 400, "");
        let from = Instant::now();
        run.answered(run.begin(), 400, "");
        run.0.disturbed(from, Instant::now());
        let verdict = run.0.verdict();
        assert_eq!((verdict.failed.values().sum::<u64>(), verdict.unexcused_failures), (2, 1), "{verdict}");
    }

    #[test]
    fn a_fault_that_holds_jobs_excuses_those_of_its_time_only() {
        let run = Run::new(PAST_DEADLINE);
        run.answered(run.begin(), 500, "");
        let from = Instant::now();
        let during = run.begin();
        let to = Instant::now();
        run.0.disturbed(from, to);
        run.answered(during, 500, "");
        run.answered(run.begin(), 500, "");
        let verdict = run.0.verdict();
        assert_eq!((verdict.lost, verdict.expired), (2, 1), "{verdict}");
    }

    #[test]
    fn faults_excuse_no_job_that_had_the_time_to_be_done_between_them() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let lost_and_held = |disturbances: &[(u64, u64)]| {
            let run = Run::new(PAST_DEADLINE);
            for (from, to) in disturbances {
                run.0.disturbed(at(*from), at(*to));
            }
            run.answered(run.begin(), 500, "");
            {
                let attempt = &mut run.0.book().obligations[0].attempts[0];
                (attempt.began, attempt.ended) = (at(10), Some((at(40), AttemptEnd::NoResult)));
            }
            let verdict = run.0.verdict();
            assert_eq!(verdict.held, verdict.expired);
            (verdict.lost, verdict.held)
        };
        let (lost, held) = ((1, 0), (0, 1));
        assert_eq!(lost_and_held(&[(0, 9), (41, 50)]), lost, "before and after it");
        assert_eq!(lost_and_held(&[(8, 41)]), held);
        assert_eq!(lost_and_held(&[(28, 38), (12, 30), (0, 5)]), held, "two that overlap");
        assert_eq!(lost_and_held(&[(20, 39)]), lost, "time before");
        assert_eq!(lost_and_held(&[(5, 30)]), lost, "time after");
        assert_eq!(lost_and_held(&[(10, 20), (30, 40)]), lost, "time between");
        assert_eq!(lost_and_held(&[(10, 35), (15, 20), (36, 40)]), held, "one within another");
    }

    #[test]
    fn a_key_that_creates_two_things_is_found_and_one_that_settles_a_broken_request_is_not() {
        let run = Run::new(DEADLINE);
        let open = || {
            let expected = Expected::Session { correlation_id: String::new() };
            let repeat = Arc::new(|url: &str| Client::new().get(url));
            run.0.open_repeatable(Operation::CreateSession, expected, "demo", "key", repeat)
        };
        let [twice, settled] = [open(), open()];
        run.answered(run.0.begin(twice).0, 201, "/a");
        run.answered(run.0.begin(twice).0, 201, "/b");
        run.0.broke(run.0.begin(settled).0, None, "reset");
        run.answered(run.0.begin(settled).0, 201, "/c");
        let verdict = run.0.verdict();
        assert_eq!((verdict.duplicated, verdict.answered, verdict.settled), (1, 2, 1), "{verdict}");
    }

    #[test]
    fn another_ones_result_is_found_even_if_a_later_attempt_is_right() {
        let run = Run::new(DEADLINE);
        let id = run.open();
        let (first, _) = run.0.begin(id);
        run.0.answered(first, &Answer::new(201, &HeaderMap::new(), Bytes::new()));
        run.answered(run.0.begin(id).0, 201, "/a");
        let verdict = run.0.verdict();
        assert_eq!((verdict.mixed_up, verdict.answered), (1, 1), "{verdict}");
        assert!(!verdict.is_conserved());
    }
}
