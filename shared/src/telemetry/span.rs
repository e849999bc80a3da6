//! Spans: the timed operations of a trace.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::sampling::Sampling;
use super::trace::TraceContext;

/// The process' tracer, once traces are exported. It is global, like the subscriber of log lines, because spans begin
/// in all parts of the program.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Begins spans.
#[derive(Debug)]
pub(super) struct Tracer {
    pub(super) sdk: SdkTracer,
    pub(super) sampling: Sampling,
    /// `messaging.system` of this process' broker.
    pub(super) messaging_system: &'static str,
}

impl Tracer {
    /// Makes this the tracer of the process. A second call has no effect: tests start several roles in one process.
    pub(super) fn install(self) {
        let _ = TRACER.set(self);
    }

    /// As [`Span::of_request`].
    fn request(&self, caller: Option<TraceContext>, name: impl Display) -> Span {
        if !self.sampling.accepts(caller.as_ref()) {
            return Span::unrecorded(caller);
        }
        let builder = SpanBuilder::from_name(name.to_string()).with_kind(SpanKind::Server);
        let parent = caller.map_or_else(Context::new, |caller| parent(&caller));
        Span::recorded(builder.start_with_context(&self.sdk, &parent))
    }

    fn child(&self, of: &TraceContext, builder: SpanBuilder) -> Span {
        Span::recorded(builder.start_with_context(&self.sdk, &parent(of)))
    }
}

fn parent(context: &TraceContext) -> Context {
    Context::new().with_remote_span_context(context.to_otel())
}

/// One span. Dropping it ends it, so it also ends if the measured operation is cancelled. A span of a trace that is not
/// recorded costs nothing.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recording: Option<Box<opentelemetry_sdk::trace::Span>>,
}

impl Span {
    fn recorded(span: opentelemetry_sdk::trace::Span) -> Self {
        Self { context: TraceContext::of_otel(span.span_context()), recording: Some(Box::new(span)) }
    }

    /// The span of a request whose trace is not recorded. It keeps the ids that the caller sent, for log lines.
    fn unrecorded(caller: Option<TraceContext>) -> Self {
        Self { context: caller.unwrap_or_default().unsampled(), recording: None }
    }

    /// The span of a request that a gateway serves. Decides whether the request's trace is recorded, for all processes that take part
    /// in it. The name is written only if the span is recorded.
    #[must_use]
    pub fn of_request(caller: Option<TraceContext>, name: impl Display) -> Self {
        match TRACER.get() {
            Some(tracer) => tracer.request(caller, name),
            None => Self::unrecorded(caller),
        }
    }

    /// The context of this span. Operations within the span have it as their parent.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Whether the span is recorded. Otherwise attributes have no effect.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recording {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Adds an attribute with the text of `value`.
    pub fn set_text(&mut self, key: &'static str, value: impl Display) {
        if self.is_recording() {
            self.set(key, value.to_string());
        }
    }

    /// Adds an event at the present time.
    pub fn event(&mut self, name: &'static str) {
        if let Some(span) = &mut self.recording {
            span.add_event(name, Vec::new());
        }
    }

    /// Marks the span as failed. `kind` is a word of a small set, and never a caller's data.
    pub fn fail(&mut self, kind: impl Display) {
        if self.is_recording() {
            let kind = kind.to_string();
            self.set("error.type", kind.clone());
            if let Some(span) = &mut self.recording {
                span.set_status(Status::error(kind));
            }
        }
    }

    /// Ends the span.
    pub fn end(self) {}

    /// Ends the span with an earlier time than now.
    pub fn end_at(mut self, time: SystemTime) {
        if let Some(span) = &mut self.recording {
            span.end_with_timestamp(time);
        }
    }
}

impl TraceContext {
    /// A span within this one. The name is written only if the span is recorded.
    #[must_use]
    pub fn span(&self, kind: SpanKind, name: impl Display) -> Span {
        self.span_from(kind, name, None)
    }

    /// A span within this one that began at an earlier time.
    #[must_use]
    pub fn span_from(&self, kind: SpanKind, name: impl Display, began: Option<SystemTime>) -> Span {
        match TRACER.get() {
            Some(tracer) if self.is_sampled() => {
                let name: Cow<'static, str> = name.to_string().into();
                let mut builder = SpanBuilder::from_name(name).with_kind(kind);
                builder.start_time = began;
                tracer.child(self, builder)
            }
            _ => Span { context: self.clone().unsampled(), recording: None },
        }
    }

    /// A span of a message that is sent or processed, with the attributes that OpenTelemetry has for messages.
    #[must_use]
    pub fn message_span(&self, step: MessageStep, destination: &str, id: impl Display) -> Span {
        let (kind, verb) = match step {
            MessageStep::Send => (SpanKind::Producer, "send"),
            MessageStep::Process => (SpanKind::Consumer, "process"),
        };
        let mut span = self.span(kind, format_args!("{verb} {destination}"));
        if let Some(tracer) = TRACER.get().filter(|_| span.is_recording()) {
            span.set("messaging.system", tracer.messaging_system);
            span.set("messaging.operation.type", verb);
            span.set("messaging.operation.name", verb);
            span.set("messaging.destination.name", destination.to_owned());
            span.set("messaging.message.id", id.to_string());
        }
        span
    }
}

/// Step in the processing of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageStep {
    /// The message is published, until the broker confirms it.
    Send,
    /// The message was delivered, and is processed until it is settled.
    Process,
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};

    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

    #[derive(Clone, Debug, Default)]
    struct Ended(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Ended {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn tracer(ended: &Ended, ratio: f64, callers: u32) -> Tracer {
        let provider = SdkTracerProvider::builder().with_span_processor(ended.clone()).build();
        Tracer {
            sdk: provider.tracer("test"),
            sampling: Sampling::new(ratio, callers),
            messaging_system: "rabbitmq",
        }
    }

    fn caller(flags: &str) -> Option<TraceContext> {
        TraceContext::received(Some(&format!("{CALLER}-{flags}")), Some("a=1"))
    }

    #[test]
    fn a_sampled_request_is_a_child_of_its_callers_span() {
        let ended = Ended::default();
        let tracer = tracer(&ended, 0.0, 10);
        let mut span = tracer.request(caller("01"), "POST /faces");
        assert_eq!(span.context().trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.context().tracestate(), Some("a=1"));
        assert!(span.context().is_sampled() && !span.context().to_string().starts_with(CALLER));
        span.fail("no_worker");
        assert!(ended.0.lock().unwrap().is_empty());
        let child = tracer.child(span.context(), SpanBuilder::from_name("send"));
        drop((child, span));
        let ended = ended.0.lock().unwrap();
        let [child, request] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!(request.parent_span_id.to_string(), "b7ad6b7169203331");
        assert!(request.parent_span_is_remote);
        assert_eq!(child.parent_span_id, request.span_context.span_id());
        assert_eq!(request.status, Status::error("no_worker"));
    }

    #[test]
    fn a_trace_that_is_not_recorded_keeps_the_callers_ids_for_the_log() {
        let ended = Ended::default();
        let tracer = tracer(&ended, 1.0, 10);
        let mut span = tracer.request(caller("00"), "POST /faces");
        span.set("key", "value");
        span.fail("failed");
        assert_eq!(span.context().to_string(), format!("{CALLER}-00"));
        drop(span);
        assert!(ended.0.lock().unwrap().is_empty());
        // A request without a context begins a trace, as the ratio says.
        let root = tracer.request(None, "POST /faces");
        assert!(root.context().is_sampled());
        drop(root);
        assert_eq!(ended.0.lock().unwrap()[0].parent_span_id, opentelemetry::trace::SpanId::INVALID);
    }

    #[test]
    #[ignore = "measures; docs/tracing.md has its figures"]
    fn cost_of_a_request_by_how_its_trace_is_recorded() {
        // As many spans as a job has, at gateway and worker together.
        let request = |span: &Span| {
            for _ in 0..9 {
                let mut child = span.context().span(SpanKind::Internal, format_args!("send {}", "queue"));
                child.set_text("key", 1);
            }
        };
        let time = |requests: u32, begin: &dyn Fn() -> Span| {
            let began = std::time::Instant::now();
            (0..requests).for_each(|_| request(&begin()));
            began.elapsed() / requests
        };
        let ended = Ended::default();
        let rare = tracer(&ended, 0.01, 10);
        let off = time(20_000, &|| Span::of_request(None, "POST /faces"));
        let unsampled = time(20_000, &|| rare.request(caller("00"), "POST /faces"));
        let sampled = time(20_000, &|| rare.request(None, "POST /faces"));
        let recorded = {
            let all = tracer(&ended, 1.0, 10);
            let began = std::time::Instant::now();
            for _ in 0..1000 {
                let mut span = all.request(None, "POST /faces");
                span.set("key", "value");
                for _ in 0..9 {
                    drop(all.child(span.context(), SpanBuilder::from_name("send")));
                }
            }
            began.elapsed() / 1000
        };
        let shown = format!("off {off:?}, unsampled {unsampled:?}, 1 % {sampled:?}, recorded {recorded:?}");
        writeln!(std::io::stdout(), "per request: {shown}").unwrap();
    }

    #[test]
    fn without_a_tracer_a_callers_flag_ends_at_the_gateway() {
        // A worker that exports must not follow a flag on which no gateway has decided.
        let span = Span::of_request(caller("01"), "POST /faces");
        assert_eq!(span.context().to_string(), format!("{CALLER}-00"));
    }
}
