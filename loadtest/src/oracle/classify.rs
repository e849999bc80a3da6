//! Classifies the end of an attempt by its answer.

use std::time::Duration;

use super::answer::Answer;
use super::expected::Expected;

/// An attempt that takes this part of the service's deadline or more ended by the deadline.
const DEADLINE_PART: f64 = 0.8;

/// The end of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AttemptEnd {
    /// With the result of its own payload.
    Answered,
    /// With a result that belongs to another payload.
    MixedUp(String),
    /// With 429 or 503 (or 409 for a key in progress), before the work was accepted.
    Refused {
        /// The status and the service's message.
        cause: String,
        /// Whether the answer has a `Retry-After` in seconds.
        has_retry_after: bool,
    },
    /// With 429 or 503 at the deadline: the job was accepted, and no worker took it in time.
    Expired,
    /// With an error at the deadline while nothing was queued: a worker had the job, and returned no result. In a
    /// healthy service this happens to a job only while something holds its worker.
    NoResult,
    /// With any other status.
    Failed(String),
    /// The connection broke before the answer: the caller cannot know what happened.
    Broken(String),
    /// There was no answer for as long as the caller waits, which is longer than the service's deadline.
    Silent,
}

/// Classifies the answer to an attempt that took `elapsed`, by a service with this `deadline`.
#[must_use]
pub fn classify(expected: &Expected, answer: &Answer, elapsed: Duration, deadline: Duration) -> AttemptEnd {
    let is_late = elapsed >= deadline.mul_f64(DEADLINE_PART);
    if expected.is_success(answer.status) {
        return expected.check(answer).map_or_else(AttemptEnd::MixedUp, |()| AttemptEnd::Answered);
    }
    let cause = || format!("{} {}", answer.status, answer.message());
    match answer.status {
        429 | 503 if is_late => AttemptEnd::Expired,
        409 if answer.retry_after.is_none() => AttemptEnd::Failed(cause()),
        409 | 429 | 503 => {
            AttemptEnd::Refused { cause: cause(), has_retry_after: answer.retry_after.is_some() }
        }
        500 | 408 if is_late => AttemptEnd::NoResult,
        _ => AttemptEnd::Failed(cause()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    #[test]
    fn the_same_status_means_another_thing_at_the_deadline() {
        let expected = Expected::Session { correlation_id: String::new() };
        let end = |status, seconds: u64| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("2"))]);
            let answer = Answer::new(status, &headers, Bytes::from_static(b"{\"message\":\"why\"}"));
            classify(&expected, &answer, Duration::from_secs(seconds), Duration::from_secs(10))
        };
        let refused = |status| AttemptEnd::Refused { cause: format!("{status} why"), has_retry_after: true };
        assert_eq!([end(429, 1), end(503, 1), end(409, 1)], [429, 503, 409].map(refused));
        assert_eq!([end(503, 9), end(429, 9)], [AttemptEnd::Expired, AttemptEnd::Expired]);
        assert_eq!(end(500, 9), AttemptEnd::NoResult);
        assert_eq!(end(500, 1), AttemptEnd::Failed("500 why".into()));
        assert!(matches!(end(201, 1), AttemptEnd::MixedUp(_)), "no Location");
    }
}
