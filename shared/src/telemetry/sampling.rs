//! Selection of the requests whose traces are recorded.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::trace::TraceContext;

/// Decides whether the trace of a request is recorded. All processes that take part in the request follow the decision.
///
/// A caller's context that says *not sampled* is respected. One that says *sampled* counts up to a rate only, since a
/// caller could set that flag on every request. Its trace id has no influence, because callers choose that, too. The
/// ratio is for requests without a context.
#[derive(Debug)]
pub(super) struct Sampling {
    ratio: f64,
    /// `None` if no caller's flag counts.
    callers: Option<DefaultDirectRateLimiter>,
}

impl Sampling {
    pub(super) fn new(ratio: f64, max_caller_traces_per_second: u32) -> Self {
        let callers = NonZeroU32::new(max_caller_traces_per_second);
        Self { ratio, callers: callers.map(|traces| RateLimiter::direct(Quota::per_second(traces))) }
    }

    /// Whether the trace of a request with this context is recorded.
    pub(super) fn accepts(&self, caller: Option<&TraceContext>) -> bool {
        match caller {
            Some(caller) => {
                caller.is_sampled() && self.callers.as_ref().is_some_and(|callers| callers.check().is_ok())
            }
            None => rand::random::<f64>() < self.ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(flags: &str) -> TraceContext {
        let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        TraceContext::received(Some(&text), None).unwrap()
    }

    fn accepted(sampling: &Sampling, caller: Option<&TraceContext>) -> usize {
        (0..10_000).filter(|_| sampling.accepts(caller)).count()
    }

    #[test]
    fn callers_who_sample_everything_get_a_bounded_number_of_traces() {
        let sampling = Sampling::new(0.0, 10);
        // Ten at once, and one every 100 ms; the loop takes far less than a second.
        let accepted = accepted(&sampling, Some(&caller("01")));
        assert!((10..20).contains(&accepted), "{accepted}");
        assert_eq!((0..100).filter(|_| Sampling::new(1.0, 0).accepts(Some(&caller("01")))).count(), 0);
    }

    #[test]
    fn a_caller_who_does_not_sample_has_no_trace() {
        assert_eq!(accepted(&Sampling::new(1.0, 10), Some(&caller("00"))), 0);
    }

    #[test]
    fn the_ratio_holds_for_requests_without_a_context() {
        assert_eq!(accepted(&Sampling::new(0.0, 10), None), 0);
        assert_eq!(accepted(&Sampling::new(1.0, 10), None), 10_000);
        // Fourteen standard deviations of a binomial distribution.
        let some = accepted(&Sampling::new(0.1, 10), None);
        assert!((580..1420).contains(&some), "{some}");
    }
}
