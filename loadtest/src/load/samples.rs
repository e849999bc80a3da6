//! Measurements of each planned request.

use std::time::Duration;

use serde::Serialize;

use crate::oracle::Operation;

/// The end of a planned request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "end", content = "cause")]
pub enum SampleEnd {
    /// With its own result.
    Answered,
    /// Refused with 429 or 503, by status and message; a caller that obeys `Retry-After` has given up.
    Refused(String),
    /// With an error: by status and message, or why the connection broke.
    Failed(String),
    /// Not sent, because as many requests as the scenario allows waited for their answers.
    NotSent,
}

/// A planned request, with all of its attempts.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// The operation.
    pub operation: Operation,
    /// The intended time of sending, from the beginning of the load.
    pub at: Duration,
    /// Delay of the generator: the time from the intended start to the real one.
    pub lag: Duration,
    /// From the intended time of sending to the end of the last answer, waits for `Retry-After` included.
    pub latency: Duration,
    /// The time from sending to refusal of each refused attempt.
    pub refusals: Vec<Duration>,
    /// Of these, refusals without `Retry-After`.
    pub refusals_without_retry_after: usize,
    /// Requests that were sent for it.
    pub attempts: usize,
    /// The end of the request.
    pub end: SampleEnd,
}

/// All measurements of a load.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// One for each planned request, in the order of their ends.
    pub samples: Vec<Sample>,
    /// From the beginning of the load to the end of its last request.
    pub elapsed: Duration,
    /// The state of the service by time, where a gateway's metrics were read.
    pub states: Vec<super::monitor::ServiceState>,
}

impl Measured {
    /// Requests that ended with their own result.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.samples.iter().filter(|sample| sample.end == SampleEnd::Answered).count()
    }

    /// Times from sending to refusal, the shortest first.
    #[must_use]
    pub fn refusal_times(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.samples.iter().flat_map(|sample| sample.refusals.clone()).collect();
        times.sort_unstable();
        times
    }

    /// Refusals without `Retry-After`.
    #[must_use]
    pub fn refusals_without_retry_after(&self) -> usize {
        self.samples.iter().map(|sample| sample.refusals_without_retry_after).sum()
    }

    /// Requests that were not sent.
    #[must_use]
    pub fn not_sent(&self) -> usize {
        self.samples.iter().filter(|sample| sample.end == SampleEnd::NotSent).count()
    }
}
