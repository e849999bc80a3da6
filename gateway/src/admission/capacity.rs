//! The capacity estimate: how many jobs per second the workers can do for this gateway, learned from their answers.
//!
//! A gateway does not know how many workers there are, how many tasks each of them does at the same time, and how much
//! of that other gateways use. It measures the combined result, as BBR measures the bottleneck of a path (Cardwell et
//! al. 2016):
//!
//! - **Busy samples.** A job that waited in the queue proves that the workers had no free slot during its wait. The
//!   answers that arrived meanwhile came at full capacity, so their rate is a sample of it.
//! - **Other answers** show the rate of the demand, which is a lower bound. They can only raise the estimate.
//! - **Idleness is no sample.** Without jobs there are no answers. This is no evidence of low capacity, so the estimate
//!   does not decay.
//! - **Neither is a stall.** A pause of all answers (workers restart, the broker fails over, a device recovers) begins
//!   a new measurement, so the estimate describes the workers in normal operation.
//! - **The service time** gives a lower bound of its own: one slot does one job in that time. It is the median of the
//!   recent ones, because a job that waited in a worker for a device to recover reports all of that as service time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Maximum number of answers in a measurement.
const MAX_ANSWERS: usize = 256;
/// Maximum number of answers in a busy sample. It is small, so the gateway soon notices a change of the workers.
const MAX_SAMPLE_ANSWERS: usize = 64;
/// Minimum number of answers in a sample.
const MIN_SAMPLE_ANSWERS: usize = 4;
/// Number of service times of which the median is taken.
const SERVICE_TIMES: usize = 31;
/// The estimate is a mean over about this many busy samples, of which the older ones count less.
const MEMORY_SAMPLES: f64 = 64.0;
/// A pause between two answers that is longer than this, and than several service times, is a stall or idleness.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_SERVICE_TIMES: u32 = 8;
/// For this long after a busy sample, the share of other gateways is known. Later they may have become idle.
const SAMPLE_VALIDITY: Duration = Duration::from_secs(10);
/// A shorter service time counts as this one: workers report whole milliseconds.
const MIN_SERVICE: Duration = Duration::from_micros(500);

/// The capacity estimate of one gateway.
#[derive(Clone, Debug)]
pub(super) struct CapacityEstimate {
    /// A job that waited for at least this long has waited for workers and not only for the broker.
    busy_wait: Duration,
    /// The times of the answers since the last pause.
    answers: VecDeque<Instant>,
    /// The last service times.
    services: VecDeque<Duration>,
    /// The median of `services`.
    typical_service: Option<Duration>,
    /// Mean time between two answers in seconds, by busy samples and lower bounds of the rate; `None` before the first
    /// busy sample. A mean of rates would be too high where samples are short.
    measured_interval: Option<f64>,
    /// The highest rate that the demand has reached before the first busy sample.
    reached: f64,
    /// Busy samples so far, at most [`MEMORY_SAMPLES`].
    samples: f64,
    /// The time of the last busy sample.
    sampled_at: Option<Instant>,
}

impl CapacityEstimate {
    /// Takes a job that waited for `busy_wait` as a proof that all workers were busy.
    pub(super) fn new(busy_wait: Duration) -> Self {
        Self {
            busy_wait,
            answers: VecDeque::with_capacity(MAX_ANSWERS),
            services: VecDeque::with_capacity(SERVICE_TIMES),
            typical_service: None,
            measured_interval: None,
            reached: 0.0,
            samples: 0.0,
            sampled_at: None,
        }
    }

    /// Records a job that a worker did: it waited for `wait`, and the worker took `service`.
    pub(super) fn record(&mut self, now: Instant, wait: Duration, service: Duration) {
        self.record_service(service.max(MIN_SERVICE));
        if self.answers.back().is_some_and(|last| now.saturating_duration_since(*last) > self.max_pause()) {
            self.answers.clear();
        }
        if self.answers.len() == MAX_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(now);
        if wait >= self.busy_wait {
            if let Some(sample) = self.interval_within(now, wait, MAX_SAMPLE_ANSWERS) {
                let measured = self.measured_interval.unwrap_or_else(|| sample.min(1.0 / self.reached));
                self.samples = (self.samples + 1.0).min(MEMORY_SAMPLES);
                self.measured_interval = Some(measured + (sample - measured) / self.samples);
                self.sampled_at = Some(now);
            }
        } else if let Some(rate) = self.demand(now) {
            self.reached = self.reached.max(rate);
            self.measured_interval = self.measured_interval.map(|measured| measured.min(1.0 / rate));
        }
    }

    /// The estimate in jobs per second; `None` before the first answer. Before the first busy sample it is only a lower
    /// bound.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let one_place = 1.0 / self.typical_service?.as_secs_f64();
        Some(match self.measured_interval {
            Some(measured) if self.is_fresh(now) => 1.0 / measured,
            Some(measured) => (1.0 / measured).max(one_place),
            None => self.reached.max(one_place),
        })
    }

    /// The estimate in jobs per second, once the workers have been busy.
    pub(super) fn measured_per_second(&self, now: Instant) -> Option<f64> {
        self.measured_interval.and(self.per_second(now))
    }

    /// The longest pause between answers that counts neither as a stall nor as idleness.
    pub(super) fn max_pause(&self) -> Duration {
        MIN_PAUSE.max(self.typical_service.unwrap_or_default() * PAUSE_SERVICE_TIMES)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.sampled_at.is_some_and(|at| now.saturating_duration_since(at) < SAMPLE_VALIDITY)
    }

    fn record_service(&mut self, service: Duration) {
        if self.services.len() == SERVICE_TIMES {
            self.services.pop_front();
        }
        self.services.push_back(service);
        let mut sorted: Vec<_> = self.services.iter().copied().collect();
        let middle = sorted.len() / 2;
        self.typical_service = Some(*sorted.select_nth_unstable(middle).1);
    }

    /// The mean interval of the last answers in seconds, at most `max_answers` of them and none older than `age`.
    fn interval_within(&self, now: Instant, age: Duration, max_answers: usize) -> Option<f64> {
        let recent = self.answers.iter().rev().take(max_answers);
        let first = recent.take_while(|at| now.saturating_duration_since(**at) <= age).enumerate().last();
        let (later, since) = first.map(|(later, at)| (later, now.saturating_duration_since(*at)))?;
        // The first answer only begins the measurement.
        (later + 1 >= MIN_SAMPLE_ANSWERS && !since.is_zero()).then(|| since.as_secs_f64() / later as f64)
    }

    /// The rate of the answers since the last pause, or of the last [`MAX_ANSWERS`]; `None` if they span too little
    /// time for a meaningful rate.
    fn demand(&self, now: Instant) -> Option<f64> {
        let since = now.saturating_duration_since(*self.answers.front()?);
        let is_long = since >= MIN_PAUSE || self.answers.len() == MAX_ANSWERS;
        (is_long && !since.is_zero()).then(|| (self.answers.len() - 1) as f64 / since.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Duration = Duration::from_millis(125);
    const SERVICE: Duration = Duration::from_millis(20);
    const SECOND: Duration = Duration::from_secs(1);

    /// Workers with two slots, and 20 ms for each job: a hundred jobs a second.
    struct Fixture {
        capacity: CapacityEstimate,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { capacity: CapacityEstimate::new(BUSY), now: Instant::now() }
        }

        /// Answers `jobs` in equal intervals that had each waited for `wait`.
        fn answer(&mut self, jobs: u32, interval: Duration, wait: Duration) {
            for _ in 0..jobs {
                self.now += interval;
                self.capacity.record(self.now, wait, SERVICE);
            }
        }

        /// Answers a burst of `jobs` that are published at once.
        fn burst(&mut self, jobs: u32) {
            for job in 0..jobs {
                self.now += SERVICE / 2;
                self.capacity.record(self.now, SERVICE / 2 * job, SERVICE);
            }
        }

        fn assert_near(&self, expected: f64) {
            let seen = self.capacity.per_second(self.now).unwrap();
            assert!((seen / expected - 1.0).abs() <= 0.15, "{seen} instead of {expected}");
        }
    }

    #[test]
    fn one_burst_shows_the_capacity_and_idleness_does_not_forget_it() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.capacity.per_second(fixture.now), None);
        fixture.answer(1, SECOND, Duration::ZERO);
        // One slot, as far as the gateway knows.
        fixture.assert_near(50.0);
        assert_eq!(fixture.capacity.measured_per_second(fixture.now), None);
        fixture.burst(50);
        fixture.assert_near(100.0);
        fixture.now += SECOND * 3600;
        fixture.assert_near(100.0);
        // Little demand is no sign of little capacity.
        fixture.answer(100, SECOND / 2, Duration::ZERO);
        fixture.assert_near(100.0);
    }

    #[test]
    fn demand_without_waits_only_raises_it() {
        let mut fixture = Fixture::new();
        fixture.answer(200, SECOND / 80, Duration::ZERO);
        fixture.assert_near(80.0);
        fixture.answer(50, SECOND / 60, Duration::ZERO);
        fixture.assert_near(80.0);
        assert_eq!(fixture.capacity.measured_per_second(fixture.now), None);
    }

    #[test]
    fn a_stall_is_not_taken_for_slow_workers() {
        let mut fixture = Fixture::new();
        fixture.burst(50);
        // All workers stop for ten seconds. The jobs that waited are answered at once afterwards.
        fixture.now += SECOND * 10;
        fixture.answer(100, SERVICE / 2, SECOND * 10);
        fixture.assert_near(100.0);
    }

    #[test]
    fn a_fleet_that_has_changed_is_known_after_some_answers() {
        let mut fixture = Fixture::new();
        fixture.answer(100, SECOND / 100, SECOND / 2);
        fixture.assert_near(100.0);
        fixture.answer(150, SECOND / 33, SECOND / 2);
        fixture.assert_near(33.0);
        fixture.answer(250, SECOND / 100, SECOND / 2);
        fixture.assert_near(100.0);
    }

    #[test]
    fn the_share_of_another_gateway_is_left_out_only_while_it_is_known() {
        let mut fixture = Fixture::new();
        fixture.answer(100, SECOND / 10, SECOND);
        fixture.assert_near(10.0);
        fixture.now += SAMPLE_VALIDITY;
        fixture.assert_near(50.0);
    }

    #[test]
    fn jobs_that_waited_in_a_worker_are_no_slow_jobs() {
        let mut fixture = Fixture::new();
        for job in 0..40 {
            fixture.now += SECOND;
            let service = if job % 3 == 0 { SECOND * 20 } else { SERVICE };
            fixture.capacity.record(fixture.now, Duration::ZERO, service);
        }
        fixture.assert_near(50.0);
    }
}
