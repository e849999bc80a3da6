//! The ledger of obligations. Load and faults write to it while they run.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;

use super::answer::Answer;
use super::classify::{AttemptEnd, classify};
use super::expected::{Expected, Operation};
use super::found::{CallbackFindings, Settlement, UsageFindings};

/// Identifies an obligation within its ledger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObligationId(usize);

/// Identifies an attempt of an obligation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AttemptId {
    obligation: ObligationId,
    attempt: usize,
}

/// All obligations of a run. Every method may be called from any task.
#[derive(Debug)]
pub struct Ledger {
    run: String,
    deadline: Duration,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) obligations: Vec<Obligation>,
    pub(super) disturbances: Vec<Disturbance>,
    /// See [`Ledger::with_spare_capacity`].
    pub(super) has_spare_capacity: bool,
    pub(super) settled: Settlement,
    pub(super) callbacks: CallbackFindings,
    pub(super) usage: Option<UsageFindings>,
}

#[derive(Clone)]
pub(super) struct Obligation {
    pub(super) operation: Operation,
    pub(super) expected: Expected,
    /// The caller's API key of Biometric Services. [`settle`](super::settle) reads the caller's resources with it.
    pub(super) api_key: String,
    pub(super) attempts: Vec<Attempt>,
    /// The idempotency key, and a function that builds the request without it.
    pub(super) repeat: Option<(String, Repeat)>,
}

/// Builds a request again, with equal values and the same credentials, for the gateway at an address.
pub type Repeat = Arc<dyn Fn(&str) -> RequestBuilder + Send + Sync>;

impl fmt::Debug for Obligation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, expected, attempts, repeat, .. } = self;
        formatter
            .debug_struct("Obligation")
            .field("operation", operation)
            .field("expected", expected)
            .field("attempts", attempts)
            .field("key", &repeat.as_ref().map(|(key, _)| key))
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) request_id: String,
    pub(super) began: Instant,
    pub(super) ended: Option<(Instant, AttemptEnd)>,
    /// The answer's status, if there was an answer.
    pub(super) status: Option<u16>,
    pub(super) location: Option<String>,
    /// Whether a usage record would have the request id.
    pub(super) is_recorded: bool,
}

/// A time in which a fault held jobs, cut answers, or kept a gateway from recording what it had done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disturbance {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// Whether a job may end without its result. A callback may be sent again in any case.
    pub(super) holds_jobs: bool,
}

impl Ledger {
    /// Creates an empty ledger. `run` is part of all request ids, which distinguishes the records of different runs.
    /// `deadline` is the service's `jobs.deadline`.
    #[must_use]
    pub fn new(run: &str, deadline: Duration) -> Self {
        Self { run: run.to_owned(), deadline, book: Mutex::default() }
    }

    /// Declares that the load is several times below the capacity of the service. A job then expires in the queue only
    /// because a fault holds it, so one that expires without such a fault counts as lost. (An overloaded service lets
    /// jobs expire without any fault.)
    #[must_use]
    pub fn with_spare_capacity(self) -> Self {
        self.book().has_spare_capacity = true;
        self
    }

    /// The name of the run, with which all its request ids begin.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// `jobs.deadline` of the service.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Adds an obligation to the caller with this API key of Biometric Services.
    pub fn open(&self, operation: Operation, expected: Expected, api_key: &str) -> ObligationId {
        let api_key = api_key.to_owned();
        self.push(Obligation { operation, expected, api_key, attempts: Vec::new(), repeat: None })
    }

    /// As [`Ledger::open`], for a request with an idempotency key. [`settle`](super::settle) sends it again with the
    /// same key.
    pub fn open_repeatable(
        &self,
        operation: Operation,
        expected: Expected,
        api_key: &str,
        key: &str,
        repeat: Repeat,
    ) -> ObligationId {
        let (api_key, repeat) = (api_key.to_owned(), Some((key.to_owned(), repeat)));
        self.push(Obligation { operation, expected, api_key, attempts: Vec::new(), repeat })
    }

    fn push(&self, obligation: Obligation) -> ObligationId {
        let mut book = self.book();
        book.obligations.push(obligation);
        ObligationId(book.obligations.len() - 1)
    }

    /// Records that an attempt of an obligation begins. Returns its id, and the `X-Request-Id` that the request must
    /// carry.
    pub fn begin(&self, obligation: ObligationId) -> (AttemptId, String) {
        let mut book = self.book();
        let attempts = &mut book.obligations[obligation.0].attempts;
        let attempt = attempts.len();
        let request_id = format!("{}-{}-{attempt}", self.run, obligation.0);
        attempts.push(Attempt {
            request_id: request_id.clone(),
            began: Instant::now(),
            ended: None,
            status: None,
            location: None,
            is_recorded: true,
        });
        (AttemptId { obligation, attempt }, request_id)
    }

    /// As [`Ledger::begin`], for a request that cannot carry this id. The attempt is not compared with usage records.
    pub fn begin_unrecorded(&self, obligation: ObligationId) -> (AttemptId, String) {
        let (id, request_id) = self.begin(obligation);
        self.book().obligations[obligation.0].attempts[id.attempt].is_recorded = false;
        (id, request_id)
    }

    /// Records the answer to an attempt. Returns how the attempt ended.
    pub fn answered(&self, attempt: AttemptId, answer: &Answer) -> AttemptEnd {
        let now = Instant::now();
        let mut book = self.book();
        let obligation = &mut book.obligations[attempt.obligation.0];
        let record = &mut obligation.attempts[attempt.attempt];
        let end = classify(&obligation.expected, answer, now - record.began, self.deadline);
        record.status = Some(answer.status);
        record.location.clone_from(&answer.location);
        record.ended = Some((now, end.clone()));
        end
    }

    /// Records that the connection broke before the answer was complete. `status` is the answer's, if received.
    pub fn broke(&self, attempt: AttemptId, status: Option<u16>, why: &str) {
        self.ended(attempt, status, AttemptEnd::Broken(why.to_owned()));
    }

    /// Records that the caller closes the connection without an answer, after more than the service's deadline.
    pub fn silent(&self, attempt: AttemptId) {
        self.ended(attempt, None, AttemptEnd::Silent);
    }

    /// Records that from `from` to `to` a fault held jobs or cut answers: a process was stopped (SIGSTOP), a connection
    /// was stalled or cut, or a broker, store or gateway was unavailable. A job without enough undisturbed time may
    /// then end without its result, and a callback that was acknowledged may be sent again. The death of a *worker* is
    /// no disturbance, because the broker delivers its jobs again at once.
    pub fn disturbed(&self, from: Instant, to: Instant) {
        self.book().disturbances.push(Disturbance { from, to, holds_jobs: true });
    }

    /// Records that from `from` to `to` a fault kept a gateway from recording a delivery, because it was killed. A
    /// callback that was acknowledged may then be sent again. Jobs need no excuse: the connections of their callers
    /// broke.
    pub fn deliveries_disturbed(&self, from: Instant, to: Instant) {
        self.book().disturbances.push(Disturbance { from, to, holds_jobs: false });
    }

    /// The number of obligations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book().obligations.len()
    }

    /// Whether there are no obligations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn ended(&self, attempt: AttemptId, status: Option<u16>, end: AttemptEnd) {
        let mut book = self.book();
        let record = &mut book.obligations[attempt.obligation.0].attempts[attempt.attempt];
        record.status = status;
        record.ended = Some((Instant::now(), end));
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of all obligations.
    pub(super) fn ids(&self) -> impl Iterator<Item = ObligationId> + use<> {
        (0..self.len()).map(ObligationId)
    }

    /// A copy of an obligation.
    pub(super) fn obligation(&self, id: ObligationId) -> Obligation {
        self.book().obligations[id.0].clone()
    }
}

impl Obligation {
    /// Whether an attempt ended with its own result.
    pub(super) fn is_answered(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.is(&AttemptEnd::Answered))
    }

    /// Whether one of its attempts ended without an answer.
    pub(super) fn was_interrupted(&self) -> bool {
        self.attempts.iter().any(Attempt::was_unanswered)
    }

    /// The distinct paths that answers named in `Location`.
    pub(super) fn created(&self) -> Vec<&str> {
        let mut created: Vec<_> =
            self.attempts.iter().filter_map(|attempt| attempt.location.as_deref()).collect();
        created.sort_unstable();
        created.dedup();
        created
    }
}

impl Attempt {
    pub(super) fn is(&self, end: &AttemptEnd) -> bool {
        self.ended.as_ref().is_some_and(|(_, ended)| ended == end)
    }

    /// Whether its connection broke, or was silent until the caller left.
    pub(super) fn was_unanswered(&self) -> bool {
        matches!(self.ended, Some((_, AttemptEnd::Broken(_) | AttemptEnd::Silent)))
    }
}
