//! The metric by which operators find a clock that is wrong.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use faceline_shared::job::JobEnvelope;
use prometheus::IntGaugeVec;

/// Maximum number of gateways in the metric.
const MAX_GATEWAYS: usize = 256;

/// Records the smallest age of a job per gateway. It is about zero if both clocks agree.
pub(super) struct ClockSkew {
    smallest_ages: Mutex<HashMap<String, i64>>,
    gauge: IntGaugeVec,
}

impl ClockSkew {
    pub(super) fn new(gauge: IntGaugeVec) -> Self {
        Self { smallest_ages: Mutex::default(), gauge }
    }

    /// Records the age of a job, in milliseconds; negative where the gateway's clock is ahead.
    pub(super) fn record(&self, envelope: &JobEnvelope) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let age = now - i64::try_from(envelope.published_at).unwrap_or(i64::MAX);
        let mut ages = self.smallest_ages.lock().unwrap_or_else(PoisonError::into_inner);
        if ages.len() == MAX_GATEWAYS && !ages.contains_key(&envelope.gateway) {
            return;
        }
        let smallest = ages.entry(envelope.gateway.clone()).or_insert(i64::MAX);
        if age < *smallest {
            *smallest = age;
            self.gauge.with_label_values(&[&envelope.gateway]).set(age);
        }
    }
}
