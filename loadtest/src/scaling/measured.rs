//! Measurements of a machine: the input of the simulation and of the capacity table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Measurements of one machine. `faceline-loadtest scaling measure` makes them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Measurements {
    /// The machine, and its other load during the measurement.
    pub machine: String,
    /// CPU time of a worker for a job in milliseconds: the quantiles 0, 0.05, … 1, by the kind of job.
    pub service_ms: BTreeMap<String, Vec<f64>>,
    /// CPU time of a gateway for a job with a small picture, in milliseconds.
    pub gateway_ms: f64,
    /// CPU time of RabbitMQ for the same.
    pub broker_ms: f64,
    /// CPU time of Redis for a job with a picture of 12 megapixels, which is fetched from it.
    pub store_ms: f64,
    /// Time from the start of a worker until it takes jobs, in seconds.
    pub worker_start_seconds: f64,
    /// Number of jobs that a worker of two threads prefetches.
    pub prefetch: usize,
    /// Resident memory of a worker that has done all kinds of jobs, in MiB.
    pub worker_mib: f64,
    /// Bytes that the broker receives for a job: its message, its result, and their confirmations, by the kind of job.
    pub message_bytes: BTreeMap<String, u64>,
    /// Bytes of a picture's file, by the kind of job.
    pub picture_bytes: BTreeMap<String, u64>,
    /// Memory of Redis for a session with one face, in bytes.
    pub session_bytes: f64,
    /// Number of sessions of which `session_bytes` is the mean.
    pub sessions: usize,
}

/// A job about a picture of 250 x 250 pixels.
pub const SMALL: &str = "250 x 250";
/// A job about a picture of 12 megapixels.
pub const LARGE: &str = "12 megapixels";

/// A distribution of service times, by quantiles at equal distances.
#[derive(Clone, Debug)]
pub struct ServiceTimes {
    quantiles: Vec<f64>,
}

impl ServiceTimes {
    /// Jobs of which the share `large`, 0 to 1, is about pictures of 12 megapixels and the rest about small ones.
    #[must_use]
    pub fn mixed(measured: &Measurements, large: f64) -> Self {
        const STEPS: usize = 1000;
        let of = |kind| Self::of_millis(&measured.service_ms[kind]);
        let count = (STEPS as f64 * large) as usize;
        let drawn = |times: Self, count: usize| {
            (0..count).map(move |step| times.at((step as f64 + 0.5) / count as f64)).collect::<Vec<_>>()
        };
        let mut quantiles = [drawn(of(SMALL), STEPS - count), drawn(of(LARGE), count)].concat();
        quantiles.sort_by(f64::total_cmp);
        Self { quantiles }
    }

    /// Always `seconds`.
    #[must_use]
    pub fn constant(seconds: f64) -> Self {
        Self { quantiles: vec![seconds; 2] }
    }

    /// The distribution with these quantiles, in seconds.
    #[must_use]
    pub fn of_quantiles(quantiles: Vec<f64>) -> Self {
        Self { quantiles }
    }

    fn of_millis(quantiles: &[f64]) -> Self {
        Self { quantiles: quantiles.iter().map(|millis| millis / 1e3).collect() }
    }

    /// The quantile `part`, in seconds. Between two known ones it is interpolated.
    #[must_use]
    pub fn at(&self, part: f64) -> f64 {
        let place = part * (self.quantiles.len() - 1) as f64;
        let below = (place as usize).min(self.quantiles.len() - 2);
        let (low, high) = (self.quantiles[below], self.quantiles[below + 1]);
        low + (high - low) * (place - below as f64)
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        const STEPS: usize = 10_000;
        (0..STEPS).map(|step| self.at((step as f64 + 0.5) / STEPS as f64)).sum::<f64>() / STEPS as f64
    }

    /// The median, in seconds.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_interpolated_between_its_quantiles() {
        let times = ServiceTimes::of_millis(&[10.0, 20.0, 40.0]);
        assert!((times.at(0.25) - 0.015).abs() < 1e-12 && (times.at(1.0) - 0.040).abs() < 1e-12);
        assert!((times.median() - 0.020).abs() < 1e-12);
        assert!((times.mean() - 0.0225).abs() < 1e-6, "{}", times.mean());
        assert_eq!(ServiceTimes::constant(0.5).mean(), 0.5);
    }
}
