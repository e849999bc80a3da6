//! A discrete-event simulation of admission: callers, gateways with a [`JobLimiter`] each, and workers on one queue.
//!
//! The random numbers have a fixed seed, so every run is the same.

mod bursts;
mod overload;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_models::SplitMix64;

use super::fingerprint::{ClientConnection, ConnectionId, RequestFingerprint};
use super::in_flight::{InFlight, InFlightBounds};
use super::job_class::JobClass;
use super::job_limiter::{JobBounds, JobLimiter, JobStage};

const TARGET: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(30);
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
    /// A time, and the number of workers from then on.
    later: Option<(f64, usize)>,
    /// Mean service time of a worker.
    service: f64,
    /// Mean time until a body is complete.
    body: f64,
    /// Arrival rate of new callers, as a multiple of the workers' capacity.
    load: f64,
    /// No new callers arrive after this time.
    until: f64,
    /// Callers who were refused do not retry after this time, because they have left.
    gone: f64,
    /// Times, and the number of callers that arrive together at each. All of them belong to one further client.
    bursts: &'static [(f64, usize)],
    /// Between these times the workers do nothing.
    stalls: &'static [(f64, f64)],
    /// Fraction of new callers that belong to a second client.
    others: f64,
    /// Fraction of the requests and bytes in flight that one client may have.
    client_share: f64,
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
    gone: f64::MAX,
    bursts: &[],
    stalls: &[],
    others: 0.0,
    client_share: 1.0,
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
    /// All callers of the burst with this index arrive.
    Burst(usize),
    Retry(usize),
    BodyComplete(usize),
    Done(usize),
    /// A stall ends, and workers take jobs again.
    Awake,
    /// A caller of the closed loop sends its next request.
    Next(usize),
}

/// The kind of caller that sends a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Caller {
    /// A caller of the client that sends most requests.
    Usual,
    /// A caller of the client that sends less.
    Other,
    /// A caller of the burst with this index.
    Burst(usize),
}

impl Caller {
    /// The name of its client.
    fn client(self) -> Arc<str> {
        Arc::from(match self {
            Self::Usual => "usual",
            Self::Other => "other",
            Self::Burst(_) => "burst",
        })
    }
}

struct SimulatedGateway {
    limiter: JobLimiter,
    in_flight: InFlight,
}

struct SimulatedRequest {
    caller: Caller,
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
    service: f64,
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
    /// First attempts of the client that sends less.
    others: Attempts,
    /// The result of each burst.
    bursts: Vec<BurstReport>,
}

/// The result of one burst.
#[derive(Clone, Debug, Default)]
struct BurstReport {
    /// Admitted at the first attempt.
    admitted: usize,
    /// The `Retry-After` of the others, in seconds.
    retry_after_seconds: Vec<u64>,
    /// The times at which they were answered, in seconds after the first attempt.
    answered: Vec<f64>,
}

impl BurstReport {
    fn last_answer(&self) -> f64 {
        self.answered.iter().copied().fold(0.0, f64::max)
    }

    fn max_retry_after(&self) -> u64 {
        self.retry_after_seconds.iter().copied().max().unwrap_or(0)
    }
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
    gateways: Vec<SimulatedGateway>,
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
        let bounds = JobBounds {
            target_wait: TARGET,
            max_jobs: self.inflight_jobs,
            max_retry_after: Duration::from_secs(self.max_retry_after),
            deadline: DEADLINE,
        };
        let gateway =
            |_| SimulatedGateway { limiter: JobLimiter::new(start, bounds), in_flight: InFlight::default() };
        let mut simulation = Simulation {
            scenario: self,
            random: SplitMix64::new(7),
            start,
            gateways: (0..self.gateways).map(gateway).collect(),
            requests: Vec::new(),
            queue: VecDeque::new(),
            busy: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            report: Report { bursts: vec![BurstReport::default(); self.bursts.len()], ..Report::default() },
        };
        for (index, (at, _)) in self.bursts.iter().enumerate() {
            simulation.schedule(*at, Event::Burst(index));
        }
        for (_, end) in self.stalls {
            simulation.schedule(*end, Event::Awake);
        }
        for _ in 0..self.regulars.max(1) {
            let first = simulation.random.unit() / 2.0;
            if self.load > 0.0 || self.regulars > 0 {
                simulation.schedule(first, Event::New);
            }
        }
        let last_burst = self.bursts.iter().map(|(at, _)| *at).fold(self.until, f64::max);
        let end = last_burst + self.max_retry_after as f64 + 5.0;
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
            Event::New => self.next_caller(time, Arc::default()),
            Event::Next(request) => self.next_caller(time, Arc::clone(&self.requests[request].connection)),
            Event::Burst(index) => {
                for _ in 0..self.scenario.bursts[index].1 {
                    self.new_caller(time, Caller::Burst(index), Arc::default());
                }
            }
            Event::Awake => (),
            Event::Retry(request) => self.attempt(time, request),
            Event::BodyComplete(request) => {
                let SimulatedRequest { gateway, stage, published, .. } = &mut self.requests[request];
                let now = self.start + Duration::from_secs_f64(time);
                self.gateways[*gateway].limiter.body_complete(now, stage.as_mut().unwrap());
                *published = time;
                self.queue.push_back(request);
            }
            Event::Done(request) => self.done(time, request),
        }
    }

    /// A new caller arrives, and the time of the next arrival is drawn.
    fn next_caller(&mut self, time: f64, connection: Arc<ClientConnection>) {
        let is_other = self.scenario.others > 0.0 && self.random.unit() < self.scenario.others;
        self.new_caller(time, if is_other { Caller::Other } else { Caller::Usual }, connection);
        let rate = self.scenario.capacity() * self.scenario.load;
        let next = time + exponential(&mut self.random, 1.0 / rate);
        if self.scenario.regulars == 0 && next < self.scenario.until {
            self.schedule(next, Event::New);
        }
    }

    fn new_caller(&mut self, time: f64, caller: Caller, connection: Arc<ClientConnection>) {
        let request = SimulatedRequest {
            caller,
            connection,
            length: (self.random.unit() * self.scenario.lengths as f64) as u64,
            gateway: self.any_gateway(),
            attempts: 0,
            will_retry: self.random.unit() < self.scenario.retrying,
            is_reserved: false,
            stage: None,
            published: 0.0,
            taken: 0.0,
            service: 0.0,
        };
        self.requests.push(request);
        self.attempt(time, self.requests.len() - 1);
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
        let client = request.caller.client();
        let has_reservation = gateway.limiter.take_reservation(now, &fingerprint);
        let limit_jobs = gateway.limiter.limit_jobs(now);
        let bounds = InFlightBounds {
            requests: usize::MAX,
            bytes: usize::MAX,
            limit_jobs,
            client_share: self.scenario.client_share,
        };
        let admitted = gateway.in_flight.check_request(now, &client, JobClass::Pictures, 0, &bounds).is_ok()
            && gateway.limiter.has_capacity(now, has_reservation);
        let is_first = request.attempts == 0;
        if !is_first {
            self.report.retries.count(admitted);
            if request.is_reserved {
                self.report.reserved.count(admitted);
            }
        }
        if is_first && request.caller == Caller::Other {
            self.report.others.count(admitted);
        }
        request.attempts += 1;
        if admitted {
            if let Caller::Burst(index) = request.caller {
                self.report.bursts[index].admitted += usize::from(is_first);
            }
            request.stage = Some(gateway.limiter.add(now));
            gateway.in_flight.add_request(&client, JobClass::Pictures, 0);
            let received = time + exponential(&mut self.random, self.scenario.body);
            self.schedule(received, Event::BodyComplete(number));
            return;
        }
        gateway.limiter.limit_was_binding(now);
        let retry = gateway.limiter.reserve_retry(now, &fingerprint, random);
        request.is_reserved = retry.is_reserved;
        if let Caller::Burst(index) = request.caller {
            self.report.bursts[index].retry_after_seconds.push(retry.after.as_secs());
        }
        let retry_at = time + retry.after.as_secs_f64();
        let retries_again = self.scenario.regulars > 0 || matches!(request.caller, Caller::Burst(_));
        if request.will_retry && (is_first || retries_again) && retry_at < self.scenario.gone {
            // Retries come 2 to 52 ms late.
            let delay = 0.002 + self.random.unit() * 0.05;
            self.schedule(retry_at + delay, Event::Retry(number));
        }
    }

    fn take_jobs(&mut self, time: f64) {
        let workers = match self.scenario.later {
            Some((from, workers)) if time >= from => workers,
            _ => self.scenario.workers,
        };
        if self.stall_end(time).is_some() {
            return;
        }
        while self.busy < workers
            && let Some(request) = self.queue.pop_front()
        {
            self.busy += 1;
            self.requests[request].taken = time;
            let service = self.scenario.service * (0.5 + exponential(&mut self.random, 0.5));
            let done = time + service;
            let stalled = self.scenario.stalls.iter().find(|(from, to)| (*from..*to).contains(&done));
            let done = stalled.map_or(done, |(from, to)| to + done - from);
            self.requests[request].service = done - time;
            self.schedule(done, Event::Done(request));
        }
    }

    /// The end of the stall that the workers are in.
    fn stall_end(&self, time: f64) -> Option<f64> {
        let (_, end) = self.scenario.stalls.iter().find(|(from, to)| (*from..*to).contains(&time))?;
        Some(*end)
    }

    fn done(&mut self, time: f64, number: usize) {
        let now = self.at(time);
        self.busy -= 1;
        let request = &mut self.requests[number];
        let wait = request.taken - request.published + BROKER_SECONDS;
        let gateway = &mut self.gateways[request.gateway];
        // A worker reports whole milliseconds.
        let service = Duration::from_millis((request.service * 1000.0) as u64);
        gateway.limiter.record_answer(now, Duration::from_secs_f64(wait), service);
        gateway.limiter.remove(now, &request.stage.take().unwrap());
        gateway.in_flight.remove_request(&request.caller.client(), JobClass::Pictures, 0);
        self.report.done.push((time, wait));
        if let Caller::Burst(index) = request.caller {
            self.report.bursts[index].answered.push(time - self.scenario.bursts[index].0);
            return;
        }
        if self.scenario.regulars > 0 {
            self.schedule(time + 0.002, Event::Next(number));
        }
    }
}
