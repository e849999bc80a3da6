//! The report of a load: totals, and their course over time.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::driver::name;
use super::monitor::ServiceState;
use super::samples::{Measured, Sample, SampleEnd};
use super::scenario::Scenario;
use crate::oracle::Verdict;

/// The histograms count longer latencies as this one.
const MAX_LATENCY: Duration = Duration::from_hours(1);
/// The histograms keep this many significant digits.
const DIGITS: u8 = 3;
/// A report shows at most this many points of time.
const MAX_WINDOWS: f64 = 240.0;

/// The results of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Whether refused callers retried after `Retry-After`.
    pub obeys_retry_after: bool,
    /// Seconds from the beginning to the last answer.
    pub seconds: f64,
    /// Requests of the schedule.
    pub planned: usize,
    /// Requests that were not sent, because too many others waited for their answers.
    pub not_sent: usize,
    /// Requests that were sent, repeats included.
    pub attempts: usize,
    /// Requests that ended with their own result.
    pub answered: usize,
    /// Answered requests a second.
    pub goodput: f64,
    /// Requests that ended refused, by status and message.
    pub refused: BTreeMap<String, usize>,
    /// Requests that ended with an error, by status and message.
    pub failed: BTreeMap<String, usize>,
    /// Latencies of answered requests, from the intended time of sending.
    pub latency: Percentiles,
    /// The same by operation.
    pub operations: BTreeMap<String, Percentiles>,
    /// Times from sending to refusal.
    pub refusal: Percentiles,
    /// Refusals without `Retry-After`.
    pub refusals_without_retry_after: usize,
    /// Delays of the generator, from the intended start of a request to the real one. Latencies contain them, so this
    /// bounds the time that the generator itself adds.
    pub generator_lag: Percentiles,
    /// The load over time.
    pub windows: Vec<Window>,
    /// The state of the service, where a gateway's metrics were read.
    pub states: Vec<ServiceState>,
    /// The verdict of the oracle.
    pub verdict: Option<Verdict>,
}

/// Percentiles of times in milliseconds; all 0 without any.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Number of times.
    pub count: u64,
    /// Their mean.
    pub mean_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// 90 % are at most this long.
    pub p90_ms: f64,
    /// 99 % are at most this long.
    pub p99_ms: f64,
    /// 99.9 % are at most this long.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// A window of time within the load.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    /// Its beginning in seconds.
    pub at: f64,
    /// Requests whose intended time is in it, a second.
    pub offered: f64,
    /// Answered requests that ended in it, a second.
    pub goodput: f64,
    /// Requests that ended refused or failed in it, a second.
    pub refused: f64,
    /// Latencies of the answered requests whose intended time is in it.
    pub latency: Percentiles,
}

impl Percentiles {
    /// The percentiles of times.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let max = MAX_LATENCY.as_micros() as u64;
        let mut histogram = Histogram::<u64>::new_with_bounds(1, max, DIGITS).expect("valid bounds");
        for time in times {
            histogram.saturating_record((time.as_micros() as u64).max(1));
        }
        if histogram.is_empty() {
            return Self::default();
        }
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: histogram.max() as f64 / 1e3,
        }
    }
}

impl LoadReport {
    /// Builds the report from the measurements of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, measured: &Measured, verdict: Option<Verdict>) -> Self {
        let samples = &measured.samples;
        let seconds = measured.elapsed.as_secs_f64();
        let answered = measured.answered();
        let (mut refused, mut failed) = (BTreeMap::new(), BTreeMap::new());
        let mut operations: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
        for sample in samples {
            match &sample.end {
                SampleEnd::Refused(cause) => *refused.entry(cause.clone()).or_default() += 1,
                SampleEnd::Failed(cause) => *failed.entry(cause.clone()).or_default() += 1,
                SampleEnd::Answered => {
                    operations.entry(name(sample.operation)).or_default().push(sample.latency);
                }
                SampleEnd::NotSent => (),
            }
        }
        Self {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            obeys_retry_after: scenario.obeys_retry_after,
            seconds,
            planned: samples.len(),
            not_sent: measured.not_sent(),
            attempts: samples.iter().map(|sample| sample.attempts).sum(),
            answered,
            goodput: answered as f64 / seconds.max(f64::MIN_POSITIVE),
            refused,
            failed,
            latency: Percentiles::of(latencies(samples)),
            operations: operations.into_iter().map(|(name, times)| (name, Percentiles::of(times))).collect(),
            refusal: Percentiles::of(measured.refusal_times()),
            refusals_without_retry_after: measured.refusals_without_retry_after(),
            generator_lag: Percentiles::of(samples.iter().map(|sample| sample.lag)),
            windows: windows(samples, seconds),
            states: measured.states.clone(),
            verdict,
        }
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// Serialisation fails, which does not occur in practice.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// Latencies of answered requests.
fn latencies<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> impl Iterator<Item = Duration> {
    samples.into_iter().filter(|sample| sample.end == SampleEnd::Answered).map(|sample| sample.latency)
}

fn windows(samples: &[Sample], seconds: f64) -> Vec<Window> {
    let width = (seconds / MAX_WINDOWS).ceil().max(1.0);
    let count = (seconds / width).ceil().max(1.0) as usize;
    let place = |time: Duration| ((time.as_secs_f64() / width) as usize).min(count - 1);
    let mut started: Vec<Vec<&Sample>> = vec![Vec::new(); count];
    let (mut done, mut refused) = (vec![0.0; count], vec![0.0; count]);
    for sample in samples {
        started[place(sample.at)].push(sample);
        let end = place(sample.at + sample.latency);
        let ends = match sample.end {
            SampleEnd::Answered => &mut done,
            SampleEnd::Refused(_) | SampleEnd::Failed(_) => &mut refused,
            SampleEnd::NotSent => continue,
        };
        ends[end] += 1.0;
    }
    let window = |(number, started): (usize, Vec<&Sample>)| Window {
        at: number as f64 * width,
        offered: started.len() as f64 / width,
        goodput: done[number] / width,
        refused: refused[number] / width,
        latency: Percentiles::of(latencies(started)),
    };
    started.into_iter().enumerate().map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Phase;
    use crate::oracle::Operation;

    fn sample(at: u64, latency: u64, end: SampleEnd) -> Sample {
        Sample {
            operation: Operation::Faces,
            at: Duration::from_millis(at),
            lag: Duration::ZERO,
            latency: Duration::from_millis(latency),
            refusals: Vec::new(),
            refusals_without_retry_after: 0,
            attempts: 1,
            end,
        }
    }

    #[test]
    fn latencies_belong_to_the_time_of_sending_and_goodput_to_the_time_of_the_end() {
        let samples = vec![
            sample(0, 100, SampleEnd::Answered),
            sample(500, 2000, SampleEnd::Answered),
            sample(1500, 10, SampleEnd::Refused("429 busy".into())),
        ];
        let measured = Measured { samples, elapsed: Duration::from_secs(3), states: Vec::new() };
        let scenario = Scenario::faces("x", vec![Phase::Constant { rate: 1.0, seconds: 3.0 }]);
        let report = LoadReport::new(&scenario, &measured, None);
        let course: Vec<_> =
            report.windows.iter().map(|one| (one.offered, one.goodput, one.refused)).collect();
        assert_eq!(course, [(2.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)]);
        assert!((report.windows[0].latency.max_ms - 2000.0).abs() < 2.0);
        assert_eq!((report.answered, report.refused["429 busy"]), (2, 1));
        assert_eq!(report.latency.count, 2);
    }

    #[test]
    fn percentiles_are_of_all_times() {
        let percentiles = Percentiles::of((1..=1000).map(Duration::from_millis));
        for (found, expected) in
            [(percentiles.p50_ms, 500.0), (percentiles.p99_ms, 990.0), (percentiles.max_ms, 1000.0)]
        {
            assert!((found / expected - 1.0).abs() < 0.002, "{percentiles:?}");
        }
    }
}
