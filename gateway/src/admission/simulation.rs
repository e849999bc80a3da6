//! Overload in simulated time: callers, gateways with a [`Throttle`] each, and workers behind one queue.
//!
//! Events are drawn with a fixed seed, so each run is the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fingerprint::{ClientConnection, ConnectionId, RequestFingerprint};
use super::throttle::{Stage, Throttle};

const TARGET: Duration = Duration::from_millis(500);
/// The broker's part of a wait, in seconds.
const BROKER: f64 = 0.005;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    /// In `0.0..1.0`.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }
}

/// What is simulated; times in seconds.
#[derive(Clone, Copy)]
struct Scenario {
    gateways: usize,
    workers: usize,
    /// Number of workers from a time on.
    later: Option<(f64, usize)>,
    /// Mean time that a worker takes.
    service: f64,
    /// Mean time that a body takes to come in.
    body: f64,
    /// New callers a second, in multiples of what the workers can do.
    load: f64,
    /// New callers come until then.
    until: f64,
    /// Part of the refused callers that comes again, once, as told.
    obeying: f64,
    /// So many callers come again and again instead of new ones, each as told or as soon as answered.
    regulars: usize,
    /// Each of them keeps to a connection.
    connected: bool,
    /// Requests differ in so many lengths.
    lengths: u64,
    /// The second try may reach another gateway than the first.
    balanced: bool,
    longest: u64,
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
    obeying: 1.0,
    regulars: 0,
    connected: false,
    lengths: 1_000_000,
    balanced: false,
    longest: 30,
    inflight_jobs: 256,
};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    New,
    Again(usize),
    Received(usize),
    Done(usize),
    /// A regular who was answered has one more request.
    Next(usize),
}

struct Call {
    connection: Arc<ClientConnection>,
    length: u64,
    gateway: usize,
    tries: u32,
    obeys: bool,
    /// It was told a time for which there is room.
    is_booked: bool,
    stage: Option<Stage>,
    published: f64,
    taken: f64,
}

/// Tries and how many of them were let in.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    all: u32,
    let_in: u32,
}

impl Tries {
    fn count(&mut self, let_in: bool) {
        self.all += 1;
        self.let_in += u32::from(let_in);
    }

    fn part(&self) -> f64 {
        f64::from(self.let_in) / f64::from(self.all)
    }
}

#[derive(Default)]
struct Report {
    /// When jobs were done and how long they had waited.
    done: Vec<(f64, f64)>,
    /// Tries of callers who came again as they were told.
    again: Tries,
    /// Those of them who were told a time for which there is room.
    booked: Tries,
}

impl Report {
    /// Done in a span of time, a second.
    fn rate(&self, from: f64, to: f64) -> f64 {
        self.done.iter().filter(|(at, _)| (from..to).contains(at)).count() as f64 / (to - from)
    }

    /// A quantile of the waits of what was done in a span of time.
    fn wait(&self, quantile: f64, from: f64, to: f64) -> f64 {
        let mut waits: Vec<f64> =
            self.done.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, wait)| *wait).collect();
        waits.sort_by(f64::total_cmp);
        waits[(waits.len() as f64 * quantile) as usize]
    }
}

struct Simulation {
    scenario: Scenario,
    random: Random,
    start: Instant,
    gateways: Vec<Throttle>,
    calls: Vec<Call>,
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
        let throttle =
            |_| Throttle::new(start, TARGET, self.inflight_jobs, Duration::from_secs(self.longest));
        let mut simulation = Simulation {
            scenario: self,
            random: Random(7),
            start,
            gateways: (0..self.gateways).map(throttle).collect(),
            calls: Vec::new(),
            queue: VecDeque::new(),
            busy: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            report: Report::default(),
        };
        for _ in 0..self.regulars.max(1) {
            let first = simulation.random.uniform() / 2.0;
            simulation.schedule(first, Event::New);
        }
        let end = self.until + self.longest as f64 + 5.0;
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
            Event::Next(call) => self.new_caller(time, Arc::clone(&self.calls[call].connection)),
            Event::Again(call) => self.attempt(time, call),
            Event::Received(call) => {
                let Call { gateway, stage, published, .. } = &mut self.calls[call];
                self.gateways[*gateway].receive(stage.as_mut().unwrap());
                *published = time;
                self.queue.push_back(call);
            }
            Event::Done(call) => self.done(time, call),
        }
    }

    fn new_caller(&mut self, time: f64, connection: Arc<ClientConnection>) {
        let call = Call {
            connection,
            length: (self.random.uniform() * self.scenario.lengths as f64) as u64,
            gateway: self.any_gateway(),
            tries: 0,
            obeys: self.random.uniform() < self.scenario.obeying,
            is_booked: false,
            stage: None,
            published: 0.0,
            taken: 0.0,
        };
        self.calls.push(call);
        self.attempt(time, self.calls.len() - 1);
        let rate = self.scenario.capacity() * self.scenario.load;
        let next = time + self.random.exponential(1.0 / rate);
        if self.scenario.regulars == 0 && next < self.scenario.until {
            self.schedule(next, Event::New);
        }
    }

    fn any_gateway(&mut self) -> usize {
        (self.random.uniform() * self.scenario.gateways as f64) as usize
    }

    fn attempt(&mut self, time: f64, number: usize) {
        if self.scenario.balanced {
            self.calls[number].gateway = self.any_gateway();
        }
        let now = self.at(time);
        let random = self.random.uniform();
        let call = &mut self.calls[number];
        let gateway = &mut self.gateways[call.gateway];
        let way =
            if self.scenario.connected { call.connection.next_request() } else { ConnectionId::default() };
        let fingerprint = RequestFingerprint::new(call.length, way);
        let is_expected = gateway.expects(now, &fingerprint);
        let let_in = gateway.has_room(now, is_expected);
        if call.tries > 0 {
            self.report.again.count(let_in);
            if call.is_booked {
                self.report.booked.count(let_in);
            }
        }
        call.tries += 1;
        if let_in {
            call.stage = Some(gateway.enter(now));
            let received = time + self.random.exponential(self.scenario.body);
            self.schedule(received, Event::Received(number));
            return;
        }
        gateway.felt();
        let promise = gateway.promise(now, &fingerprint, 0.0, random);
        call.is_booked = promise.is_booked;
        if call.obeys && (call.tries == 1 || self.scenario.regulars > 0) {
            // Nobody is to the point.
            let again = time + promise.after.as_secs_f64() + 0.002 + self.random.uniform() * 0.05;
            self.schedule(again, Event::Again(number));
        }
    }

    fn take_jobs(&mut self, time: f64) {
        let workers = match self.scenario.later {
            Some((from, workers)) if time >= from => workers,
            _ => self.scenario.workers,
        };
        while self.busy < workers
            && let Some(call) = self.queue.pop_front()
        {
            self.busy += 1;
            self.calls[call].taken = time;
            let service = self.scenario.service * (0.5 + self.random.exponential(0.5));
            self.schedule(time + service, Event::Done(call));
        }
    }

    fn done(&mut self, time: f64, number: usize) {
        let now = self.at(time);
        self.busy -= 1;
        let call = &mut self.calls[number];
        let wait = call.taken - call.published + BROKER;
        let gateway = &mut self.gateways[call.gateway];
        gateway.answered(now, Duration::from_secs_f64(wait));
        gateway.leave(&call.stage.take().unwrap());
        self.report.done.push((time, wait));
        if self.scenario.regulars > 0 {
            self.schedule(time + 0.002, Event::Next(number));
        }
    }
}

/// Goodput of at least nine tenths, and waits near the target once the first burst is done.
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
    // Seven jobs a second, and room for half a minute of them.
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
fn who_is_promised_room_finds_it() {
    for scenario in [
        THREEFOLD,
        Scenario { gateways: 2, ..THREEFOLD },
        Scenario { workers: 20, ..THREEFOLD },
        Scenario { workers: 1, service: 0.08, ..THREEFOLD },
        // Lengths of pictures come twice now and then.
        Scenario { lengths: 2000, ..THREEFOLD },
    ] {
        let report = scenario.run();
        assert!(report.booked.all > 500 && report.booked.part() >= 0.9, "{:?}", report.booked);
    }
}

/// A third of the refused is what there is room for beside new callers; or as many as there are, where they are the
/// same ones.
#[test]
fn nine_of_ten_who_come_as_told_are_served_where_that_can_be() {
    for scenario in [
        Scenario { obeying: 0.3, ..THREEFOLD },
        Scenario { obeying: 0.1, ..THREEFOLD },
        Scenario { obeying: 0.1, gateways: 2, ..THREEFOLD },
        // Few pictures, so that strangers come as somebody who does not.
        Scenario { obeying: 0.3, lengths: 1200, ..THREEFOLD },
        Scenario { regulars: 250, ..THREEFOLD },
        Scenario { regulars: 1000, ..THREEFOLD },
        // All with the same picture.
        Scenario { regulars: 500, lengths: 1, connected: true, ..THREEFOLD },
    ] {
        let report = scenario.run();
        assert!(report.again.all > 500 && report.again.part() >= 0.9, "{:?}", report.again);
    }
}

/// All of the refused come again, which is 180 s of work in 60 s: by `longest` after that, 90 s of it can be done. So
/// no more than half of the tries can be served, and nine of ten only where callers may be told to wait long enough.
#[test]
fn where_all_come_again_the_last_second_that_they_may_be_told_decides() {
    let report = THREEFOLD.run();
    assert!((0.42..=0.5).contains(&report.again.part()), "{:?}", report.again);
    let report = Scenario { longest: 130, ..THREEFOLD }.run();
    assert!(report.again.part() >= 0.9, "{:?}", report.again);
}
