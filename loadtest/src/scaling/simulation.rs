//! A discrete-event simulation of an installation: callers, gateways, the queue, worker pods, KEDA and the autoscaler.
//!
//! Not modelled: the gateways' own CPU time and the network (milliseconds), memory, more than one priority, videos.
//! Admission is the gateway's own code ([`AdmissionModel`]), the autoscaler that of [`super::autoscaler`]. The random
//! numbers come from a seed, so a run can be repeated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway::admission::{AdmissionModel, ModelledJob};
use faceline_shared::settings::Settings;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::autoscaler::{Autoscaler, Measured, SYNC_PERIOD};
use super::fleet::{Fleet, JobId, PodId};
use super::measured::ServiceTimes;
use super::report::{Report, Sample};
use super::scaled_object::{Mode, ScaledObject};
use super::traces::{Refused, Trace};

/// Interval at which RabbitMQ updates counts and rates, in seconds (`collect_statistics_interval`).
const STATISTICS_INTERVAL: f64 = 5.0;
/// Bounds of a gateway's `Retry-After` while the broker is unavailable, in seconds.
const OUTAGE_RETRY: (f64, f64) = (5.0, 7.5);
/// Clients, each with the same load.
const CLIENTS: usize = 10;
/// Seconds between two samples of the report.
const SAMPLE_INTERVAL: f64 = 10.0;
/// Time that the simulation continues after the last arrival, in seconds, for retries and the removal of pods.
const EPILOGUE: f64 = 900.0;

/// The simulated installation.
#[derive(Clone, Debug)]
pub struct Plant {
    /// Settings of the gateways. Without them every request is admitted.
    pub settings: Option<Settings>,
    /// Number of gateways.
    pub gateways: usize,
    /// Times that a worker's thread takes for a job.
    pub service: ServiceTimes,
    /// Threads of a pod.
    pub threads: usize,
    /// The most jobs that a pod has at the same time.
    pub prefetch: usize,
    /// Time from the autoscaler's decision until a pod takes jobs, in seconds.
    pub pod_start: f64,
    /// Pods at the beginning.
    pub pods: u32,
    /// The scaling of pods. Without it their number is constant.
    pub scaling: Option<ScaledObject>,
    /// Seed of the random numbers.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Arrival,
    Attempt(JobId),
    Done(PodId, JobId),
    Deadline(JobId),
    Ready(PodId),
    Statistics,
    Sync,
    Sample,
}

struct Job {
    attempts: u32,
    gateway: usize,
    admitted: Option<ModelledJob>,
    published: f64,
    started: f64,
}

struct Simulation<'a> {
    plant: &'a Plant,
    trace: &'a Trace,
    clients: Vec<Arc<str>>,
    random: StdRng,
    gateways: Vec<AdmissionModel>,
    fleet: Fleet,
    autoscaler: Option<Autoscaler>,
    jobs: Vec<Job>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    /// Values of the management API: messages, and published messages a second.
    counted: (f64, f64),
    published: u64,
    published_before: u64,
    report: Report,
    sample: Sample,
}

/// Simulates `trace` on `plant`.
#[must_use]
pub fn simulate(plant: &Plant, trace: &Trace) -> Report {
    let mut simulation = Simulation::new(plant, trace);
    let end = trace.length + EPILOGUE;
    while let Some(Reverse((nanos, _, event))) = simulation.events.pop() {
        let time = nanos as f64 / 1e9;
        if time > end {
            break;
        }
        simulation.handle(time, event);
        if !trace.is_outage(time) {
            simulation.deliver(time);
        }
    }
    simulation.report.unanswered = simulation.fleet.messages();
    simulation.report
}

impl<'a> Simulation<'a> {
    fn new(plant: &'a Plant, trace: &'a Trace) -> Self {
        let scaling = plant.scaling.clone().map(|mut object| {
            object.max_pods = trace.max_pods.unwrap_or(object.max_pods);
            object
        });
        let mut simulation = Self {
            plant,
            trace,
            clients: (0..CLIENTS).map(|client| Arc::from(client.to_string())).collect(),
            random: StdRng::seed_from_u64(plant.seed),
            gateways: plant
                .settings
                .iter()
                .flat_map(|settings| (0..plant.gateways).map(|_| AdmissionModel::new(settings)))
                .collect(),
            fleet: Fleet::new(plant.threads, plant.prefetch),
            autoscaler: scaling.as_ref().map(Autoscaler::new),
            jobs: Vec::new(),
            events: BinaryHeap::new(),
            scheduled: 0,
            counted: (0.0, 0.0),
            published: 0,
            published_before: 0,
            report: Report::default(),
            sample: Sample::default(),
        };
        for _ in 0..plant.pods {
            let pod = simulation.fleet.add();
            simulation.fleet.ready(pod);
        }
        for event in [Event::Arrival, Event::Statistics, Event::Sync, Event::Sample] {
            simulation.schedule(0.0, event);
        }
        simulation
    }

    fn schedule(&mut self, time: f64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(((time * 1e9) as u64, self.scheduled, event)));
    }

    fn handle(&mut self, time: f64, event: Event) {
        match event {
            Event::Arrival => self.arrival(time),
            Event::Attempt(job) => self.attempt(time, job),
            Event::Done(pod, job) => self.done(time, pod, job),
            Event::Deadline(job) => self.deadline(time, job),
            Event::Ready(pod) => self.fleet.ready(pod),
            Event::Statistics => {
                let rate = (self.published - self.published_before) as f64 / STATISTICS_INTERVAL;
                self.counted = (self.fleet.messages() as f64, rate);
                self.published_before = self.published;
                self.schedule(time + STATISTICS_INTERVAL, event);
            }
            Event::Sync => {
                self.sync(time);
                self.schedule(time + SYNC_PERIOD.as_secs_f64(), event);
            }
            Event::Sample => {
                self.take_sample(time);
                self.schedule(time + SAMPLE_INTERVAL, event);
            }
        }
    }

    /// A Poisson process with a changing rate, by thinning (Lewis and Shedler 1979).
    fn arrival(&mut self, time: f64) {
        let max_rate = self.trace.max_rate();
        if time > 0.0 && self.random.random::<f64>() < self.trace.rate(time) / max_rate {
            self.report.arrived += 1;
            let gateway = self.random.random_range(0..self.plant.gateways);
            self.jobs.push(Job { attempts: 0, gateway, admitted: None, published: 0.0, started: 0.0 });
            self.attempt(time, self.jobs.len() - 1);
        }
        let next = time - (1.0 - self.random.random::<f64>()).ln() / max_rate;
        if next < self.trace.length {
            self.schedule(next, Event::Arrival);
        }
    }

    fn attempt(&mut self, time: f64, id: JobId) {
        self.sample.attempts += 1;
        self.report.attempts += 1;
        self.jobs[id].attempts += 1;
        if self.trace.is_outage(time) {
            let (least, most) = OUTAGE_RETRY;
            let retry_after = self.random.random_range(least..most).ceil();
            return self.refused(time, id, retry_after);
        }
        let Some(settings) = &self.plant.settings else { return self.publish(time, id) };
        let (deadline, max_length) = (settings.jobs.deadline, settings.broker.max_length as usize);
        // A balancer may send a retry to another gateway.
        let gateway = self.random.random_range(0..self.plant.gateways);
        let random = self.random.random();
        let (now, client) = (Duration::from_secs_f64(time), &self.clients[id % CLIENTS]);
        match self.gateways[gateway].request(now, client, id as u64, random) {
            Ok(admitted) if self.fleet.waiting() >= max_length => {
                let retry_after = self.gateways[gateway].queue_full(now, &admitted, id as u64, random);
                self.refused(time, id, retry_after as f64);
            }
            Ok(admitted) => {
                self.jobs[id].admitted = Some(admitted);
                self.jobs[id].gateway = gateway;
                self.schedule(time + deadline.as_secs_f64(), Event::Deadline(id));
                self.publish(time, id);
            }
            Err(retry_after) => self.refused(time, id, retry_after as f64),
        }
    }

    fn publish(&mut self, time: f64, id: JobId) {
        self.published += 1;
        self.jobs[id].published = time;
        self.fleet.push(id);
    }

    fn refused(&mut self, time: f64, id: JobId, retry_after: f64) {
        self.sample.refused += 1;
        self.report.refusals += 1;
        let attempts = self.jobs[id].attempts;
        if attempts == 1 {
            self.report.refused_at_first += 1;
        }
        let (most, delay) = match self.trace.refused {
            // People and programs retry a little later than `Retry-After` asks.
            Refused::Obey { attempts } => (attempts, retry_after + self.random.random_range(0.0..0.5)),
            Refused::Insist { attempts } => (attempts, self.random.random_range(0.1..0.3)),
        };
        if attempts < most {
            self.schedule(time + delay, Event::Attempt(id));
        } else {
            self.report.gave_up += 1;
        }
    }

    fn deliver(&mut self, time: f64) {
        for (pod, id) in self.fleet.deliver() {
            let service = self.plant.service.at(self.random.random());
            self.jobs[id].started = time;
            // A job whose caller has left is not worked on.
            let is_late = self.plant.settings.is_some() && self.jobs[id].admitted.is_none();
            let service = if is_late { 0.0 } else { service };
            self.schedule(time + service, Event::Done(pod, id));
        }
    }

    fn done(&mut self, time: f64, pod: PodId, id: JobId) {
        self.fleet.done(pod);
        let job = &mut self.jobs[id];
        let wait = job.started - job.published;
        let service = time - job.started;
        if self.plant.settings.is_some() {
            let Some(admitted) = job.admitted.take() else { return };
            let [now, waited, worked] = [time, wait, service].map(Duration::from_secs_f64);
            self.gateways[job.gateway].answered(now, &admitted, waited, worked);
        }
        self.sample.done += 1;
        self.report.answered += 1;
        self.report.waits.push(wait as f32);
    }

    fn deadline(&mut self, time: f64, id: JobId) {
        let Some(admitted) = self.jobs[id].admitted.take() else { return };
        let gateway = self.jobs[id].gateway;
        let random = self.random.random();
        let now = Duration::from_secs_f64(time);
        let retry_after = self.gateways[gateway].missed(now, &admitted, id as u64, random);
        self.report.missed += 1;
        self.refused(time, id, retry_after as f64);
    }

    fn sync(&mut self, time: f64) {
        let (Some(autoscaler), Some(object)) = (&mut self.autoscaler, &self.plant.scaling) else { return };
        let is_away = self.trace.is_outage(time);
        let metrics: Vec<_> = object
            .triggers
            .iter()
            .map(|trigger| {
                let value = match trigger.mode {
                    Mode::QueueLength => self.counted.0,
                    Mode::MessageRate => self.counted.1,
                };
                // The simulation has no videos.
                let value = if trigger.name.starts_with("interactive") { value } else { 0.0 };
                Measured { value: (!is_away).then_some(value), target: trigger.value }
            })
            .collect();
        let pods = self.fleet.count();
        let wanted = autoscaler.sync(Duration::from_secs_f64(time), pods, &metrics);
        for _ in pods..wanted {
            let pod = self.fleet.add();
            self.schedule(time + self.plant.pod_start, Event::Ready(pod));
        }
        (wanted..pods).for_each(|_| self.fleet.remove());
    }

    fn take_sample(&mut self, time: f64) {
        let oldest = self.fleet.not_started().map(|id| self.jobs[id].published).fold(time, f64::min);
        let sample = Sample {
            time,
            pods: self.fleet.count(),
            ready: self.fleet.ready_count(),
            queue_age: time - oldest,
            ..std::mem::take(&mut self.sample)
        };
        self.report.pod_seconds += f64::from(sample.pods) * SAMPLE_INTERVAL;
        self.report.samples.push(sample);
    }
}
