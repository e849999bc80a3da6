//! The limits of an API key.

use serde::{Deserialize, Serialize};

/// The rate at which a key may send requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// Requests per second in the long run.
    pub requests_per_second: u32,
    /// Maximum number of requests at once.
    pub burst: u32,
}

/// The number of requests that a key may send in a calendar span (UTC).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// Number of requests.
    pub requests: u64,
    /// The calendar span.
    pub span: QuotaSpan,
}

/// A calendar span (UTC).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaSpan {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// All limits of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// The rate.
    pub rate: Rate,
    /// The quota, if the key has one.
    pub quota: Option<Quota>,
}
