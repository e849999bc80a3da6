//! W3C trace context (`traceparent`), which travels from the caller through the queue to the worker.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The identity of a request across processes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// A text is not a `traceparent` of version 00.
#[derive(Debug, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceparent;

impl TraceContext {
    /// A new trace.
    #[must_use]
    pub fn new() -> Self {
        Self { trace_id: Uuid::new_v4().as_u128(), span_id: span_id(), sampled: false }
    }

    /// A new span of the caller's trace, or a new trace if the caller sent no valid `traceparent`.
    #[must_use]
    pub fn continued(traceparent: Option<&str>) -> Self {
        traceparent
            .and_then(|text| text.parse::<Self>().ok())
            .map_or_else(Self::new, |caller| Self { span_id: span_id(), ..caller })
    }

    /// Id of the trace in logs: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let hex = |part: &str, len: usize| {
            (part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
                .then(|| u128::from_str_radix(part, 16).ok())
                .flatten()
                .ok_or(NotATraceparent)
        };
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace_id, span_id, flags] = parts[..] else {
            return Err(NotATraceparent);
        };
        let (trace_id, span_id, flags) = (hex(trace_id, 32)?, hex(span_id, 16)? as u64, hex(flags, 2)?);
        if version != "00" || trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

fn span_id() -> u64 {
    // The lower half of a version 4 UUID starts with the variant bits, so the span id is never zero.
    Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_callers_trace_goes_on_in_a_new_span() {
        let context = TraceContext::continued(Some(SAMPLE));
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(context.to_string(), SAMPLE);
        assert!(context.to_string().ends_with("-01"));
        assert_eq!(context.to_string().parse::<TraceContext>().unwrap(), context);
    }

    #[test]
    fn what_cannot_be_read_starts_a_new_trace() {
        for text in [
            "",
            "00",
            "00-0-0-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
        assert_ne!(TraceContext::continued(Some("nonsense")), TraceContext::continued(None));
    }
}
