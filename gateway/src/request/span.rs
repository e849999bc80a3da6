//! The exported span of a request, to which all code that handles the request may add.

use std::sync::{Arc, Mutex, PoisonError};

use faceline_shared::telemetry::{Span, TraceContext};

/// The span of one request. Clones share it.
#[derive(Clone, Debug)]
pub struct RequestSpan {
    context: TraceContext,
    /// `None` if the request's trace is not recorded.
    span: Option<Arc<Mutex<Option<Span>>>>,
}

impl RequestSpan {
    /// Shares a span.
    #[must_use]
    pub fn new(span: Span) -> Self {
        let context = span.context().clone();
        Self { context, span: span.is_recording().then(|| Arc::new(Mutex::new(Some(span)))) }
    }

    /// The trace context of this span, which is the parent of all spans within the request.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Changes the span, if it is recorded and has not ended.
    pub fn update(&self, change: impl FnOnce(&mut Span)) {
        if let Some(span) = &self.span
            && let Some(span) = span.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            change(span);
        }
    }

    /// Changes the span and ends it, also for its clones.
    pub fn end(&self, change: impl FnOnce(&mut Span)) {
        self.update(change);
        if let Some(span) = &self.span {
            drop(span.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}
