//! Processes the lanes of callbacks: sends those that are due, and deletes dead ones whose retention is over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::{Lane, LeasedRow};
use faceline_gateway_store::sealed::{RecordError, SealedOutbox, SealedSessions};
use faceline_shared::retry::Backoff;
use faceline_shared::settings::CallbackSettings;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::{Metrics, Span, SpanKind, TraceContext};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::{Position, Url};
use uuid::Uuid;

use super::metrics::CallbackMetrics;
use super::sender::{CallbackFailure, CallbackSender};
use super::slots::CallbackSlots;
use crate::accounts::Accounts;
use crate::outbox::{LaneTerms, LaneWorker, NextStep, OutboxMetrics, RowHandler};
use crate::replays::rows::Callback;
use crate::sessions::Session;
use crate::timestamp::Timestamp;

/// Maximum number of callbacks that are sent at the same time.
const SLOTS: usize = 64;
/// Delays before a callback is sent again.
const RETRIES: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_mins(5) };
/// Delays of a callback whose host or client has no free slot.
const BUSY: Backoff = Backoff { first: Duration::from_millis(500), cap: Duration::from_secs(30) };
/// Maximum number of attempts for a callback that an operator sends again.
const MAX_REPLAY_ATTEMPTS: u32 = 5;
/// Time for the look-up of the session, in addition to the time for the receiver.
const LOOKUP_TIME: Duration = Duration::from_secs(10);
/// Tolerance for clock differences. A session without a record may have ended regularly, rather than been deleted, if
/// its end is at most this far in the future by this gateway's clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// A callback whose session ends before the next attempt is processed this long after that end.
const END_MARGIN: Duration = Duration::from_millis(100);

/// Sends callbacks in the background.
pub(in crate::replays) struct CallbackProcessor {
    waiting: LaneWorker<CallbackRows>,
    dead: LaneWorker<DeadCallbackRows>,
}

/// The dependencies of the processor.
pub(in crate::replays) struct CallbackParts {
    pub(in crate::replays) records: SealedSessions,
    pub(in crate::replays) outbox: SealedOutbox,
    pub(in crate::replays) accounts: Arc<Accounts>,
    pub(in crate::replays) sender: CallbackSender,
    pub(in crate::replays) row_is_due: Arc<Notify>,
    pub(in crate::replays) outbox_metrics: OutboxMetrics,
}

impl CallbackProcessor {
    pub(in crate::replays) fn new(
        parts: CallbackParts,
        settings: &CallbackSettings,
        metrics: &Metrics,
    ) -> Self {
        let CallbackParts { records, outbox, accounts, sender, row_is_due, outbox_metrics } = parts;
        let rows = CallbackRows {
            records,
            accounts,
            sender,
            slots: CallbackSlots::default(),
            retention: settings.dead_letter_retention,
            metrics: CallbackMetrics::new(metrics),
        };
        let row_timeout = settings.timeout + LOOKUP_TIME;
        let waiting = LaneTerms { lane: Lane::Callbacks, slots: SLOTS, row_timeout };
        let dead = LaneTerms { lane: Lane::DeadCallbacks, slots: 1, row_timeout };
        Self {
            waiting: LaneWorker::new(waiting, outbox.clone(), row_is_due, rows, outbox_metrics.clone()),
            dead: LaneWorker::new(dead, outbox, Arc::default(), DeadCallbackRows, outbox_metrics),
        }
    }

    /// Sends callbacks until `shutdown`. Those that are being sent are finished first.
    pub(in crate::replays) async fn run(self, shutdown: CancellationToken) {
        let Self { waiting, dead } = self;
        tokio::join!(waiting.run(shutdown.clone()), dead.run(shutdown));
    }
}

/// Sends callbacks.
struct CallbackRows {
    records: SealedSessions,
    accounts: Arc<Accounts>,
    sender: CallbackSender,
    slots: CallbackSlots,
    /// Time for which dead letters are kept.
    retention: Duration,
    metrics: CallbackMetrics,
}

impl RowHandler for CallbackRows {
    type Payload = Callback;
    type Error = RecordError;

    async fn work(&self, row: &LeasedRow, callback: Callback) -> Result<NextStep<Callback>, RecordError> {
        let left = match self.records.session::<Session>(&callback.session()).await? {
            Some((_, left)) => left,
            None if callback.is_replayed => Duration::MAX,
            None => return Ok(self.session_gone(row.id, &callback)),
        };
        let host = host(&callback.url);
        let Some(_slot) = self.slots.try_acquire(&callback.client, &host) else {
            return Ok(NextStep::Repeat { after: BUSY.delay(row.attempt), payload: callback });
        };
        let failure = match self.send(row.id, &callback, &host).await {
            Ok(()) => return Ok(NextStep::Finish),
            Err(failure) => failure,
        };
        let failures = callback.failures.saturating_add(1);
        if callback.is_replayed && failures >= MAX_REPLAY_ATTEMPTS {
            return Ok(self.dead(row.id, &callback));
        }
        // At the session's end the callback becomes a dead letter without further delay.
        let after = RETRIES.delay(failures).min(left.saturating_add(END_MARGIN));
        let last_failure = Some(failure.to_string());
        Ok(NextStep::Repeat { after, payload: Callback { failures, last_failure, ..callback } })
    }
}

impl CallbackRows {
    async fn send(&self, id: Uuid, callback: &Callback, host: &str) -> Result<(), CallbackFailure> {
        let started = Instant::now();
        let client = self.accounts.callbacks(&callback.client);
        let mut span = attempt_span(callback, host);
        let sent = self.sender.send(id, callback, &client, span.context()).await;
        match &sent {
            Ok(status) => span.set("http.response.status_code", i64::from(status.as_u16())),
            Err(failure) => {
                if let CallbackFailure::Status(status) = failure {
                    span.set("http.response.status_code", i64::from(status.as_u16()));
                }
                span.fail(failure.label());
            }
        }
        let sent = sent.map(|_| ());
        self.metrics.seconds.observe(started.elapsed().as_secs_f64());
        let outcome = sent.as_ref().map_or_else(CallbackFailure::label, |()| "delivered");
        self.metrics.attempts.with_label_values(&[outcome]).inc();
        let Callback { client, session, failures, .. } = callback;
        let trace_id = callback.traceparent.as_ref().map(|_| span.context().trace_id());
        let span_id = span.context().span_id();
        // The path of the URL may contain a secret of the receiver.
        match &sent {
            Ok(()) => {
                tracing::info!(%id, client, %session, host, failures, trace_id, span_id, "callback delivered");
            }
            Err(error) => {
                tracing::warn!(%error, %id, client, %session, host, failures, trace_id, span_id, "callback not delivered");
            }
        }
        sent
    }

    /// Ends a callback whose session has ended before it was delivered.
    fn session_gone(&self, id: Uuid, callback: &Callback) -> NextStep<Callback> {
        if Timestamp::now().after(CLOCK_TOLERANCE) < callback.session_expires {
            let Callback { client, session, .. } = callback;
            tracing::info!(%id, client, %session, "callback dropped: its session was deleted");
            return NextStep::Finish;
        }
        self.dead(id, callback)
    }

    fn dead(&self, id: Uuid, callback: &Callback) -> NextStep<Callback> {
        let Callback { client, session, failures, last_failure, .. } = callback;
        self.metrics.dead.inc();
        tracing::error!(%id, client, %session, failures, last_failure, "callback is dead: nobody accepted it before its session ended");
        NextStep::Transfer { to: Lane::DeadCallbacks, due_in: self.retention }
    }
}

/// The span of one attempt, in the trace of the upload.
fn attempt_span(callback: &Callback, host: &str) -> Span {
    let trace = TraceContext::continued(callback.traceparent.as_deref(), callback.tracestate.as_deref());
    let mut span = trace.span(SpanKind::Client, "POST callback");
    span.set("http.request.method", "POST");
    if span.is_recording() {
        // Path and query may contain a secret of the receiver.
        span.set("server.address", host.to_owned());
        span.set("http.request.resend_count", i64::from(callback.failures));
        span.set_text("faceline.session", callback.session);
        span.set("faceline.client", callback.client.clone());
    }
    span
}

/// Host and port of a URL, for slots and log lines.
fn host(url: &str) -> String {
    Url::parse(url).map(|url| url[Position::BeforeHost..Position::AfterPort].to_owned()).unwrap_or_default()
}

/// Deletes dead callbacks. A row is due when its retention is over.
struct DeadCallbackRows;

impl RowHandler for DeadCallbackRows {
    type Payload = Callback;
    type Error = Infallible;

    async fn work(&self, row: &LeasedRow, callback: Callback) -> Result<NextStep<Callback>, Infallible> {
        let Callback { client, session, .. } = callback;
        tracing::info!(id = %row.id, client, %session, "dead callback forgotten: its retention is over");
        Ok(NextStep::Finish)
    }
}
