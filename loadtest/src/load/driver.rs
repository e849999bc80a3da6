//! The driver: starts each request at its intended time, whatever the state of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::arrivals::Phase;
use super::flow::{Attempts, Flow, Resources};
use super::plan::{Planned, plan};
use super::requests::Caller;
use super::samples::{Measured, Sample, SampleEnd};
use super::scenario::Scenario;
use super::targets::Targets;
use crate::oracle::{Ledger, Operation};

/// Rate of the plan for a closed loop, in requests a second. No service on one machine answers that many.
const MAX_CLOSED_RATE: f64 = 5000.0;

/// Sends the requests of a scenario.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The scenario that is sent.
    pub scenario: Scenario,
    /// The gateways.
    pub targets: Arc<Targets>,
    /// Pictures and keys.
    pub resources: Arc<Resources>,
    /// The ledger that keeps the obligations.
    pub ledger: Arc<Ledger>,
}

impl Driver {
    /// Sends all requests of the scenario at their times, and waits for the last answer. Calls `seen` with each sample
    /// as it ends, and with the number of requests that still wait for their answers.
    ///
    /// # Errors
    /// A caller's connections cannot be set up.
    pub async fn run(&self, mut seen: impl FnMut(&Sample, usize)) -> anyhow::Result<Measured> {
        let scenario = &self.scenario;
        let callers = scenario.callers();
        let timeout = Duration::from_secs(scenario.deadline_seconds) * 2;
        let callers: Vec<_> =
            callers.iter().map(|client| Caller::new(client, timeout)).collect::<anyhow::Result<_>>()?;
        let outstanding = Arc::new(AtomicUsize::new(0));
        let (sender, mut ended) = mpsc::unbounded_channel();
        let started = Instant::now();
        let planned = plan(scenario);
        let sending = {
            let (driver, outstanding) = (self.clone(), Arc::clone(&outstanding));
            tokio::spawn(async move {
                for planned in planned {
                    sleep_until(started + planned.at).await;
                    driver.begin(planned, started, &callers, &outstanding, &sender);
                }
            })
        };
        let mut measured = Measured::default();
        while let Some(sample) = ended.recv().await {
            seen(&sample, outstanding.load(Ordering::Relaxed));
            measured.samples.push(sample);
        }
        sending.await?;
        measured.elapsed = started.elapsed();
        Ok(measured)
    }

    /// Runs a closed loop for `length`: each of `callers` sends the next request of the scenario's mix as soon as it
    /// has an answer. This measures the peak throughput of the service, and no latencies under a given load.
    ///
    /// # Errors
    /// A caller's connections cannot be set up.
    pub async fn closed(&self, callers: usize, length: Duration) -> anyhow::Result<Measured> {
        let timeout = Duration::from_secs(self.scenario.deadline_seconds) * 2;
        let mut scenario = self.scenario.clone();
        // The plan has more requests than can be answered; they are taken in order.
        let rate = MAX_CLOSED_RATE;
        scenario.phases = vec![Phase::Constant { rate, seconds: length.as_secs_f64() }];
        let planned = Arc::new(plan(&scenario));
        let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let clients = self.scenario.callers();
            let clients: Vec<_> =
                clients.iter().map(|client| Caller::new(client, timeout)).collect::<anyhow::Result<_>>()?;
            let (driver, planned, next) = (self.clone(), Arc::clone(&planned), Arc::clone(&next));
            tasks.spawn(async move {
                let mut samples = Vec::new();
                while started.elapsed() < length {
                    let Some(planned) = planned.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let planned = Planned { at: started.elapsed(), ..*planned };
                    let mut flow = driver.flow(planned, clients[planned.caller].clone(), None);
                    let end = flow.run().await;
                    let latency = started.elapsed() - planned.at;
                    samples.push(sample(&planned, Duration::ZERO, latency, flow.attempts, end));
                }
                samples
            });
        }
        let samples = tasks.join_all().await.into_iter().flatten().collect();
        Ok(Measured { samples, elapsed: started.elapsed(), states: Vec::new() })
    }

    fn flow(&self, planned: Planned, caller: Caller, gives_up: Option<Instant>) -> Flow {
        Flow {
            caller,
            targets: Arc::clone(&self.targets),
            ledger: Arc::clone(&self.ledger),
            resources: Arc::clone(&self.resources),
            planned,
            gives_up,
            attempts: Attempts::default(),
        }
    }

    fn begin(
        &self,
        planned: Planned,
        started: Instant,
        callers: &[Caller],
        outstanding: &Arc<AtomicUsize>,
        ended: &mpsc::UnboundedSender<Sample>,
    ) {
        let intended = started + planned.at;
        let lag = intended.elapsed();
        if outstanding.load(Ordering::Relaxed) >= self.scenario.max_outstanding {
            // The receiver lives as long as this sender.
            let _ =
                ended.send(sample(&planned, lag, Duration::ZERO, Attempts::default(), SampleEnd::NotSent));
            return;
        }
        outstanding.fetch_add(1, Ordering::Relaxed);
        let give_up = Duration::from_secs(self.scenario.give_up_seconds);
        let gives_up = self.scenario.obeys_retry_after.then(|| intended + give_up);
        let mut flow = self.flow(planned, callers[planned.caller].clone(), gives_up);
        let (outstanding, ended) = (Arc::clone(outstanding), ended.clone());
        tokio::spawn(async move {
            let end = flow.run().await;
            let latency = intended.elapsed();
            outstanding.fetch_sub(1, Ordering::Relaxed);
            let _ = ended.send(sample(&planned, lag, latency, flow.attempts, end));
        });
    }
}

fn sample(planned: &Planned, lag: Duration, latency: Duration, attempts: Attempts, end: SampleEnd) -> Sample {
    Sample {
        operation: planned.operation,
        at: planned.at,
        lag,
        latency,
        refusals: attempts.refusals,
        refusals_without_retry_after: attempts.refusals_without_retry_after,
        attempts: attempts.sent,
        end,
    }
}

/// Probes the service after the load: a caller that obeys `Retry-After` sends one new request of each operation of the
/// scenario. `round` distinguishes the probes of one run, because their requests must have different names and keys.
///
/// # Errors
/// An operation does not succeed. The error names the first such operation, and how it ended.
pub async fn probe(driver: &Driver, round: u32) -> anyhow::Result<()> {
    let mut scenario = driver.scenario.clone();
    let mut operations: Vec<_> = scenario.mix.iter().map(|entry| (entry.operation, entry.size)).collect();
    operations.sort_unstable();
    operations.dedup();
    scenario.obeys_retry_after = true;
    let timeout = Duration::from_secs(scenario.deadline_seconds) * 2;
    let caller = Caller::new(&scenario.callers()[0], timeout)?;
    for (place, (operation, size)) in operations.into_iter().enumerate() {
        // Above all numbers of a plan, which begin at 0.
        let number = (u64::from(round) + 1) * u64::from(u32::MAX) + place as u64;
        let planned = Planned { number, at: Duration::ZERO, operation, size, caller: 0, picture: place };
        let mut flow = driver.flow(planned, caller.clone(), Some(Instant::now() + timeout));
        let end = flow.run().await;
        anyhow::ensure!(end == SampleEnd::Answered, "{}: {end:?}", name(operation));
    }
    Ok(())
}

/// The name of an operation in scenarios and reports.
pub(super) fn name(operation: Operation) -> String {
    serde_json::to_value(operation).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
