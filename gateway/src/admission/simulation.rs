//! A discrete-event simulation of overload: callers, gateways with a [`JobLimiter`] each, and workers behind one queue.
//!
//! The random numbers have a fixed seed, so every run is the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_models::SplitMix64;

use super::fingerprint::{ClientConnection, ConnectionId, RequestFingerprint};
use super::job_limiter::{JobLimiter, JobStage};

const TARGET: Duration = Duration::from_millis(500);
/// The broker's part of a wait, in seconds.
const BROKER_SECONDS: f64 = 0.005;

/// Exponentially distributed, by the inverse of the distribution function.
fn exponential(random: &mut SplitMix64, mean: f64) -> f64 {
    -mean * (1.0 - random.unit()).ln()
}

/// The parameters of a simulation. Times are in seconds.
#[derive(Clone, Copy)]
struct Scenario {
    gateways: usize,
    workers: usize,
    /// From this time on, another number of workers.
    later: Option<(f64, usize)>,
    /// Mean service time of a worker.
    service: f64,
    /// Mean time until a body is complete.
    body: f64,
    /// Arrival rate of new callers, as a multiple of the workers' capacity.
    load: f64,
    /// No new callers arrive after this time.
    until: f64,
    /// Fraction of the refused callers that retries, once, at the `Retry-After` time.
    retrying: f64,
    /// If above 0: a closed loop of this many callers instead of new ones. Each sends its next request when it is
    /// answered, and retries when it is refused.
    regulars: usize,
    /// Each caller of the closed loop keeps its connection.
    connected: bool,
    /// Number of different body lengths.
    lengths: u64,
    /// A retry may reach another gateway than the first attempt.
    balanced: bool,
    max_retry_after: u64,
    inflight_jobs: usize,
}

const THREEFOLD: Scenario = Scenario {
    gateways: 1,
    workers: 2,
    later: None,
    service: 0.014,
    body: 0.01,
    load: 3.0,
    until: 60.0,
    retrying: 1.0,
    regulars: 0,
    connected: false,
    lengths: 1_000_000,
    balanced: false,
    max_retry_after: 30,
    inflight_jobs: 256,
};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    New,
    Retry(usize),
    BodyComplete(usize),
    Done(usize),
    /// A caller of the closed loop sends its next request.
    Next(usize),
}

struct SimulatedRequest {
    connection: Arc<ClientConnection>,
    length: u64,
    gateway: usize,
    attempts: u32,
    will_retry: bool,
    /// Capacity was reserved for its retry.
    is_reserved: bool,
    stage: Option<JobStage>,
    published: f64,
    taken: f64,
}

/// Attempts, and how many of them were admitted.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    all: u32,
    admitted: u32,
}

impl Attempts {
    fn count(&mut self, admitted: bool) {
        self.all += 1;
        self.admitted += u32::from(admitted);
    }

    fn fraction(&self) -> f64 {
        f64::from(self.admitted) / f64::from(self.all)
    }
}

#[derive(Default)]
struct Report {
    /// For each completed job: when it completed and how long it had waited.
    done: Vec<(f64, f64)>,
    /// Retries, all of them at the `Retry-After` time.
    retries: Attempts,
    /// The retries with a reservation.
    reserved: Attempts,
}

impl Report {
    /// Completed jobs per second in a span of time.
    fn rate(&self, from: f64, to: f64) -> f64 {
        self.done.iter().filter(|(at, _)| (from..to).contains(at)).count() as f64 / (to - from)
    }

    /// A quantile of the waits of jobs that completed in a span of time.
    fn wait(&self, quantile: f64, from: f64, to: f64) -> f64 {
        let mut waits: Vec<f64> =
            self.done.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, wait)| *wait).collect();
        waits.sort_by(f64::total_cmp);
        waits[(waits.len() as f64 * quantile) as usize]
    }
}

struct Simulation {
    scenario: Scenario,
    random: SplitMix64,
    start: Instant,
    gateways: Vec<JobLimiter>,
    requests: Vec<SimulatedRequest>,
    queue: VecDeque<usize>,
    busy: usize,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    report: Report,
}

impl Scenario {
    fn capacity(&self) -> f64 {
        self.workers as f64 / self.service
    }

    fn run(self) -> Report {
        let start = Instant::now();
        let limiter =
            |_| JobLimiter::new(start, TARGET, self.inflight_jobs, Duration::from_secs(self.max_retry_after));
        let mut simulation = Simulation {
            scenario: self,
            random: SplitMix64::new(7),
            start,
            gateways: (0..self.gateways).map(limiter).collect(),
            requests: Vec::new(),
            queue: VecDeque::new(),
            busy: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            report: Report::default(),
        };
        for _ in 0..self.regulars.max(1) {
            let first = simulation.random.unit() / 2.0;
            simulation.schedule(first, Event::New);
        }
        let end = self.until + self.max_retry_after as f64 + 5.0;
        while let Some(Reverse((nanos, _, event))) = simulation.events.pop() {
            let time = nanos as f64 / 1e9;
            if time > end || (self.regulars > 0 && time > self.until) {
                break;
            }
            simulation.handle(time, event);
            simulation.take_jobs(time);
        }
        simulation.report
    }
}

impl Simulation {
    fn schedule(&mut self, time: f64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(((time * 1e9) as u64, self.scheduled, event)));
    }

    fn at(&self, time: f64) -> Instant {
        self.start + Duration::from_secs_f64(time)
    }

    fn handle(&mut self, time: f64, event: Event) {
        match event {
            Event::New => self.new_caller(time, Arc::default()),
            Event::Next(request) => self.new_caller(time, Arc::clone(&self.requests[request].connection)),
            Event::Retry(request) => self.attempt(time, request),
            Event::BodyComplete(request) => {
                let SimulatedRequest { gateway, stage, published, .. } = &mut self.requests[request];
                self.gateways[*gateway].body_complete(stage.as_mut().unwrap());
                *published = time;
                self.queue.push_back(request);
            }
            Event::Done(request) => self.done(time, request),
        }
    }

    fn new_caller(&mut self, time: f64, connection: Arc<ClientConnection>) {
        let request = SimulatedRequest {
            connection,
            length: (self.random.unit() * self.scenario.lengths as f64) as u64,
            gateway: self.any_gateway(),
            attempts: 0,
            will_retry: self.random.unit() < self.scenario.retrying,
            is_reserved: false,
            stage: None,
            published: 0.0,
            taken: 0.0,
        };
        self.requests.push(request);
        self.attempt(time, self.requests.len() - 1);
        let rate = self.scenario.capacity() * self.scenario.load;
        let next = time + exponential(&mut self.random, 1.0 / rate);
        if self.scenario.regulars == 0 && next < self.scenario.until {
            self.schedule(next, Event::New);
        }
    }

    fn any_gateway(&mut self) -> usize {
        (self.random.unit() * self.scenario.gateways as f64) as usize
    }

    fn attempt(&mut self, time: f64, number: usize) {
        if self.scenario.balanced {
            self.requests[number].gateway = self.any_gateway();
        }
        let now = self.at(time);
        let random = self.random.unit();
        let request = &mut self.requests[number];
        let gateway = &mut self.gateways[request.gateway];
        let connection =
            if self.scenario.connected { request.connection.next_request() } else { ConnectionId::default() };
        let fingerprint = RequestFingerprint::new(request.length, connection);
        let has_reservation = gateway.take_reservation(now, &fingerprint);
        let admitted = gateway.has_room(now, has_reservation);
        if request.attempts > 0 {
            self.report.retries.count(admitted);
            if request.is_reserved {
                self.report.reserved.count(admitted);
            }
        }
        request.attempts += 1;
        if admitted {
            request.stage = Some(gateway.add(now));
            let received = time + exponential(&mut self.random, self.scenario.body);
            self.schedule(received, Event::BodyComplete(number));
            return;
        }
        gateway.limit_was_binding();
        let retry = gateway.reserve_retry(now, &fingerprint, 0.0, random);
        request.is_reserved = retry.is_reserved;
        if request.will_retry && (request.attempts == 1 || self.scenario.regulars > 0) {
            // Retries come 2 to 52 ms late.
            let retry_at = time + retry.after.as_secs_f64() + 0.002 + self.random.unit() * 0.05;
            self.schedule(retry_at, Event::Retry(number));
        }
    }

    fn take_jobs(&mut self, time: f64) {
        let workers = match self.scenario.later {
            Some((from, workers)) if time >= from => workers,
            _ => self.scenario.workers,
        };
        while self.busy < workers
            && let Some(request) = self.queue.pop_front()
        {
            self.busy += 1;
            self.requests[request].taken = time;
            let service = self.scenario.service * (0.5 + exponential(&mut self.random, 0.5));
            self.schedule(time + service, Event::Done(request));
        }
    }

    fn done(&mut self, time: f64, number: usize) {
        let now = self.at(time);
        self.busy -= 1;
        let request = &mut self.requests[number];
        let wait = request.taken - request.published + BROKER_SECONDS;
        let gateway = &mut self.gateways[request.gateway];
        gateway.record_wait(now, Duration::from_secs_f64(wait));
        gateway.remove(&request.stage.take().unwrap());
        self.report.done.push((time, wait));
        if self.scenario.regulars > 0 {
            self.schedule(time + 0.002, Event::Next(number));
        }
    }
}

/// Asserts a goodput of at least 90 %, and waits near the target once the first burst is over.
fn assert_steady(scenario: Scenario) -> Report {
    let report = scenario.run();
    let goodput = report.rate(0.0, scenario.until) / scenario.capacity();
    assert!(goodput >= 0.9, "goodput {goodput}");
    let [median, late] = [0.5, 0.95].map(|quantile| report.wait(quantile, 10.0, scenario.until));
    assert!((0.25..=0.55).contains(&median), "median of waits {median}");
    assert!(late <= 1.0, "95 % wait at most {late}");
    report
}

#[test]
fn goodput_stays_at_three_times_the_capacity() {
    assert_steady(THREEFOLD);
}

#[test]
fn two_gateways_share_a_queue() {
    assert_steady(Scenario { gateways: 2, ..THREEFOLD });
    assert_steady(Scenario { gateways: 2, balanced: true, ..THREEFOLD });
}

#[test]
fn slow_links_take_no_throughput() {
    let scenario = Scenario { body: 1.0, inflight_jobs: 1000, ..THREEFOLD };
    let report = scenario.run();
    assert!(report.rate(0.0, 60.0) >= 0.9 * scenario.capacity());
}

#[test]
fn a_slow_worker_is_not_buried() {
    // Seven jobs per second, and a bound of more than 30 s of them.
    let scenario = Scenario { workers: 1, service: 0.14, ..THREEFOLD };
    let report = scenario.run();
    assert!(report.rate(0.0, 60.0) >= 0.9 * scenario.capacity());
    assert!(report.wait(0.95, 30.0, 60.0) < 1.5, "{}", report.wait(0.95, 30.0, 60.0));
}

#[test]
fn a_fleet_that_grows_is_used_and_one_that_shrinks_is_not_buried() {
    let report = Scenario { later: Some((30.0, 6)), ..THREEFOLD }.run();
    let grown = 6.0 / THREEFOLD.service;
    assert!(report.rate(33.0, 60.0) >= 0.9 * grown, "{} of {grown}", report.rate(33.0, 60.0));

    let report = Scenario { workers: 6, load: 1.0, later: Some((30.0, 2)), ..THREEFOLD }.run();
    assert!(report.rate(35.0, 60.0) >= 0.9 * THREEFOLD.capacity());
    assert!(report.wait(0.95, 35.0, 60.0) < 1.0, "{}", report.wait(0.95, 35.0, 60.0));
}

#[test]
fn a_retry_with_a_reservation_is_admitted() {
    for scenario in [
        THREEFOLD,
        Scenario { gateways: 2, ..THREEFOLD },
        Scenario { workers: 20, ..THREEFOLD },
        Scenario { workers: 1, service: 0.08, ..THREEFOLD },
        // Some pictures have equal lengths.
        Scenario { lengths: 2000, ..THREEFOLD },
    ] {
        let report = scenario.run();
        assert!(report.reserved.all > 500 && report.reserved.fraction() >= 0.9, "{:?}", report.reserved);
    }
}

/// With new callers at twice the capacity, there is room for the retries of about a third of the refused. In the closed
/// loop all of them can be served.
#[test]
fn nine_of_ten_who_come_as_told_are_served_where_that_can_be() {
    for scenario in [
        Scenario { retrying: 0.3, ..THREEFOLD },
        Scenario { retrying: 0.1, ..THREEFOLD },
        Scenario { retrying: 0.1, gateways: 2, ..THREEFOLD },
        // Few lengths, so new callers take reservations of callers who do not retry.
        Scenario { retrying: 0.3, lengths: 1200, ..THREEFOLD },
        Scenario { regulars: 250, ..THREEFOLD },
        Scenario { regulars: 1000, ..THREEFOLD },
        // All pictures have the same length.
        Scenario { regulars: 500, lengths: 1, connected: true, ..THREEFOLD },
    ] {
        let report = scenario.run();
        assert!(report.retries.all > 500 && report.retries.fraction() >= 0.9, "{:?}", report.retries);
    }
}

/// All refused callers retry, which is 180 s of work in 60 s. Within `max_retry_after` (30 s) after that, 90 s of it
/// can be done. So at most half of the retries can be admitted; 90 % of them only with a long enough `max_retry_after`.
#[test]
fn where_all_come_again_the_last_second_that_they_may_be_told_decides() {
    let report = THREEFOLD.run();
    assert!((0.42..=0.5).contains(&report.retries.fraction()), "{:?}", report.retries);
    let report = Scenario { max_retry_after: 130, ..THREEFOLD }.run();
    assert!(report.retries.fraction() >= 0.9, "{:?}", report.retries);
}
