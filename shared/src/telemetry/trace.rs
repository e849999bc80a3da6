//! W3C trace context (`traceparent`, `tracestate`), which travels from the caller through the queue to the worker.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use uuid::Uuid;

/// A longer `tracestate` is dropped. The specification asks to pass on 512 characters.
const MAX_STATE_BYTES: usize = 512;
/// Entries of a `tracestate`, at most (W3C Trace Context, 3.3.1.1).
const MAX_STATE_ENTRIES: usize = 32;
/// Bytes of a `traceparent` of version 00. Later versions may be longer.
const TRACEPARENT_BYTES: usize = 55;

/// The identity of a span across processes: the trace, the span, and whether they are recorded.
#[derive(Clone, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
    /// Whether it came from another process.
    is_remote: bool,
    /// The header `tracestate`: data of the tracing systems through which the request has passed.
    state: Option<Arc<str>>,
}

/// A text is not a `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceparent;

impl TraceContext {
    /// A new trace, which is not recorded.
    #[must_use]
    pub fn new() -> Self {
        let (trace_id, span_id) = (Uuid::new_v4().as_u128(), span_id());
        Self { trace_id, span_id, sampled: false, is_remote: false, state: None }
    }

    /// The context that another process has sent; `None` if its `traceparent` is missing or malformed. A malformed
    /// `tracestate` counts as missing.
    #[must_use]
    pub fn received(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        let context: Self = traceparent?.parse().ok()?;
        Some(Self { state: tracestate.and_then(valid_state), ..context })
    }

    /// The context that another process has sent, or a new trace if there is none.
    #[must_use]
    pub fn continued(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        Self::received(traceparent, tracestate).unwrap_or_default()
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The same context in a trace that is not recorded.
    #[must_use]
    pub(super) fn unsampled(self) -> Self {
        Self { sampled: false, ..self }
    }

    /// Id of the trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// Id of the span: 16 hexadecimal digits; `None` if it is not recorded.
    #[must_use]
    pub fn span_id(&self) -> Option<String> {
        self.sampled.then(|| format!("{:016x}", self.span_id))
    }

    /// The header `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    pub(super) fn to_otel(&self) -> SpanContext {
        let state = self.state.as_deref().and_then(|state| state.parse().ok());
        SpanContext::new(
            TraceId::from(self.trace_id),
            SpanId::from(self.span_id),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            self.is_remote,
            state.unwrap_or_default(),
        )
    }

    pub(super) fn of_otel(context: &SpanContext) -> Self {
        let state = context.trace_state().header();
        Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
            is_remote: false,
            state: (!state.is_empty()).then(|| state.into()),
        }
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

/// The header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        // A later version begins with the fields of version 00, and may go on after a dash (4.3 of the specification).
        let (known, rest) = text.split_at_checked(TRACEPARENT_BYTES).ok_or(NotATraceparent)?;
        let parts: Vec<&str> = known.split('-').collect();
        let [version, trace_id, span_id, flags] = parts[..] else {
            return Err(NotATraceparent);
        };
        let version = hex(version, 2)?;
        let (trace_id, span_id, flags) = (hex(trace_id, 32)?, hex(span_id, 16)? as u64, hex(flags, 2)?);
        let is_complete = rest.is_empty() || (version > 0 && rest.starts_with('-'));
        if version == 0xff || trace_id == 0 || span_id == 0 || !is_complete {
            return Err(NotATraceparent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1, is_remote: true, state: None })
    }
}

/// A number of `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Result<u128, NotATraceparent> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().ok_or(NotATraceparent)
}

/// A `tracestate` without white space and empty entries; `None` if it is malformed, or empty.
fn valid_state(text: &str) -> Option<Arc<str>> {
    let is_printable = text.bytes().all(|byte| byte == b'\t' || matches!(byte, b' '..=b'~'));
    let entries =
        || text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty());
    if text.len() > MAX_STATE_BYTES
        || !is_printable
        || entries().count() > MAX_STATE_ENTRIES
        || entries().any(|entry| entry.starts_with('='))
    {
        return None;
    }
    // It checks keys and values.
    text.parse::<TraceState>().ok()?;
    let state = entries().collect::<Vec<_>>().join(",");
    (!state.is_empty()).then(|| state.into())
}

fn span_id() -> u64 {
    // The lower half of a version 4 UUID starts with the variant bits, so the span id is never zero.
    Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_callers_context_is_read_as_it_was_sent() {
        let context = TraceContext::received(Some(SAMPLE), Some("congo=t61rcWkgMzE")).unwrap();
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().as_deref(), Some("b7ad6b7169203331"));
        assert_eq!(context.to_string(), SAMPLE);
        assert_eq!(context.tracestate(), Some("congo=t61rcWkgMzE"));
        let sent = TraceContext::of_otel(&context.to_otel());
        assert_eq!((sent.to_string(), sent.tracestate()), (SAMPLE.to_owned(), context.tracestate()));
        assert_eq!(context.unsampled().span_id(), None, "logs name recorded spans only");
    }

    #[test]
    fn unknown_flags_and_later_versions_are_understood_as_far_as_they_are_known() {
        for text in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what the future will be",
        ] {
            assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), SAMPLE, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_starts_a_new_trace() {
        for text in [
            "",
            "00",
            "00-0-0-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0 -0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319cb7ad6b7169203331---01",
            "00-ä0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
            assert!(TraceContext::received(Some(text), Some("a=b")).is_none(), "{text}");
        }
        let [one, other] = [Some("nonsense"), None].map(|text| TraceContext::continued(text, Some("a=b")));
        assert_ne!(one.trace_id(), other.trace_id());
        assert!(!one.is_sampled() && one.tracestate().is_none());
    }

    #[test]
    fn a_state_is_passed_on_unless_it_is_malformed_or_too_long() {
        let state = |text: &str| TraceContext::continued(Some(SAMPLE), Some(text)).state;
        for (text, expected) in [
            ("rojo=00f067aa0b1902b7", "rojo=00f067aa0b1902b7"),
            ("a=1, b=2 ,\tc=3", "a=1,b=2,c=3"),
            (",a=1,,", "a=1"),
            ("tenant@system=x y", "tenant@system=x y"),
        ] {
            assert_eq!(state(text).as_deref(), Some(expected), "{text}");
        }
        let many = (0..33).map(|index| format!("a{index}=1")).collect::<Vec<_>>().join(",");
        let long = format!("a={}", "x".repeat(MAX_STATE_BYTES));
        for text in ["", ",", "a", "=1", "A=1", "a=1,B", "a=1\n", "a=\u{7f}", "a=ü", "a=1=2", &many, &long] {
            assert_eq!(state(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn headers_of_all_kinds_do_no_harm(parent in ".{0,80}", state in ".{0,600}") {
            let context = TraceContext::continued(Some(&parent), Some(&state));
            prop_assert_eq!(context.to_string().len(), TRACEPARENT_BYTES);
            let context = TraceContext::continued(Some(SAMPLE), Some(&state));
            prop_assert!(context.tracestate().is_none_or(|state| state.len() <= MAX_STATE_BYTES));
        }

        #[test]
        fn what_is_read_is_written_again(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let text = format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled));
            prop_assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), text);
        }
    }
}
