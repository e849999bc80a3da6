//! The span of a job at its worker, and the spans of its stages.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use faceline_shared::broker::{Delivery, Queue, Settlement};
use faceline_shared::job::JobEnvelope;
use faceline_shared::telemetry::{MessageStep, Span, SpanKind, TraceContext};

use super::metrics::WorkerMetrics;
use crate::pipeline::Segments;

/// Replacement in spans for the names of reply queues, which live as long as their gateway.
const TEMPORARY: &str = "(temporary)";

/// A delivery, with the queue that it came from and its span.
#[derive(Clone, Copy)]
pub(super) struct Received<'d> {
    pub(super) queue: &'d Queue,
    pub(super) delivery: &'d Delivery,
    pub(super) span: &'d JobSpan,
}

/// The span of a delivered job, from its delivery to its settlement.
pub(super) struct JobSpan {
    context: TraceContext,
    /// `None` if the job's trace is not recorded.
    span: Option<Mutex<Span>>,
}

impl JobSpan {
    /// The span of a job that came from `queue`.
    pub(super) fn begin(envelope: &JobEnvelope, queue: &Queue) -> Self {
        let mut span = envelope.trace().message_span(MessageStep::Process, queue.name(), envelope.id);
        let context = span.context().clone();
        if !span.is_recording() {
            return Self { context, span: None };
        }
        span.set("faceline.client", envelope.client.clone());
        span.set("faceline.job.age_ms", i64::try_from(envelope.head().age().as_millis()).unwrap_or(i64::MAX));
        Self { context, span: Some(Mutex::new(span)) }
    }

    /// The span in which log lines of the job are written.
    pub(super) fn log_span(&self, job: impl std::fmt::Display) -> tracing::Span {
        tracing::info_span!("job", %job, trace_id = self.context.trace_id(), span_id = self.context.span_id())
    }

    /// Records the outcome in the answer.
    pub(super) fn outcome(&self, outcome: &'static str, is_failure: bool) {
        self.update(|span| {
            span.set("faceline.outcome", outcome);
            if is_failure {
                span.fail(outcome);
            }
        });
    }

    /// Records the settlement of the delivery.
    pub(super) fn settled(&self, settlement: Settlement) {
        self.update(|span| span.set_text("faceline.settlement", format_args!("{settlement:?}")));
    }

    fn update(&self, change: impl FnOnce(&mut Span)) {
        if let Some(span) = &self.span {
            change(&mut span.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Begins a stage, whose time the metric of stages shows, too.
    pub(super) fn stage<'m>(&self, metrics: &'m WorkerMetrics, name: &'static str) -> Stage<'m> {
        let span = self.context.span(SpanKind::Internal, name);
        Stage { span, metrics, name, began: Instant::now() }
    }

    /// A span within that of the job, which no metric shows.
    pub(super) fn child(&self, name: &'static str) -> Span {
        self.context.span(SpanKind::Internal, name)
    }

    /// The span of publishing the answer.
    pub(super) fn send(&self, reply_to: &str, job: impl std::fmt::Display) -> Span {
        let results = Queue::Results;
        let destination = if reply_to.ends_with(results.name()) { results.name() } else { TEMPORARY };
        let mut span = self.context.message_span(MessageStep::Send, destination, job);
        if destination == TEMPORARY {
            span.set("messaging.destination.temporary", true);
        }
        span
    }
}

/// A stage in progress.
pub(super) struct Stage<'m> {
    span: Span,
    metrics: &'m WorkerMetrics,
    name: &'static str,
    began: Instant,
}

impl Stage<'_> {
    pub(super) fn end(self) {
        self.metrics.stage(self.name, self.began.elapsed());
        self.span.end();
    }
}

/// Writes a span within `run` for each segment of the task, after it is done.
pub(super) fn record_segments(run: &Span, segments: &Segments) {
    if !run.is_recording() {
        return;
    }
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    let at = |time: Instant| wall - monotonic.saturating_duration_since(time);
    for segment in segments.iter() {
        let span = run.context().span_from(SpanKind::Internal, segment.stage, Some(at(segment.began)));
        span.end_at(at(segment.ended));
    }
}
