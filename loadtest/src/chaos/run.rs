//! A run: load and faults at the same time, then a quiet time, then the verdict of the oracle.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use faceline_shared::broker::Queue;
use faceline_shared::settings::Settings;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::time::{sleep, sleep_until, timeout};

use super::fault::{FaultKind, PlannedFault};
use super::inject::{heal_all, inject, listed_of};
use super::report::{FaultRecord, Report};
use super::schedule::Schedule;
use super::site::{Builds, Site};
use crate::load::{Client, Driver, Resources, Sample, Scenario, Targets, probe};
use crate::oracle::{CallbackReceiver, Ledger, SentTo, settle, settle_usage};

/// After the load, what is still on its way has this long to end.
const SETTLE_TIME: Duration = Duration::from_mins(3);
/// Time for all gateways to move their usage records to the object store.
const USAGE_TIME: Duration = Duration::from_mins(2);
/// Time for the queues of jobs and results to be empty, once no request waits.
const QUEUES_TIME: Duration = Duration::from_secs(30);
/// A fault and the recovery from it take less than this, or the fault has failed.
const FAULT_TIME: Duration = Duration::from_mins(4);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// One of so many deliveries of callbacks is answered with 500.
const FAILED_CALLBACKS: usize = 7;

/// What a run consists of.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// The load. Its length is that of the schedule, and its seed is the schedule's.
    pub scenario: Scenario,
    /// The kinds of faults.
    pub kinds: Vec<FaultKind>,
    /// The programs.
    pub builds: Builds,
    /// Folder for the logs of the programs.
    pub logs: PathBuf,
}

impl Chaos {
    /// The schedule of the faults.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.scenario.seed, self.scenario.length(), &self.kinds)
    }
}

/// Starts a site, puts load and faults on it, waits until it is quiet, and says what became of every request. `said` gets lines
/// of progress.
///
/// # Errors
/// The site does not start, or its answers cannot be read at the end. A loss is no error here: the report has it.
///
/// # Panics
/// A server does not start.
pub async fn run(chaos: &Chaos, said: impl Fn(&str) + Send + Sync) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let tell = |text: String| said(&format!("{:7.1} s  {text}", begun.elapsed().as_secs_f64()));
    let schedule = chaos.schedule();
    let site = Site::start(chaos.builds.clone(), &chaos.logs).await?;
    tell("the site is ready".into());
    let demo = Client::demo();
    let service = SentTo {
        url: site.urls[0].clone(),
        api_key: demo.api_key.clone(),
        basic: (demo.user.clone(), demo.password.clone()),
    };
    let callbacks = CallbackReceiver::start(FAILED_CALLBACKS).await?;
    let pictures = Settings::default().models.dir.join("pictures");
    let resources = Resources::prepare(&chaos.scenario, &pictures, &service, Some(callbacks.url())).await?;
    let deadline = Duration::from_secs(chaos.scenario.deadline_seconds);
    let run = format!("chaos{}", chaos.scenario.seed);
    let driver = Driver {
        scenario: chaos.scenario.clone(),
        targets: Arc::new(Targets::new(&site.urls)),
        resources: Arc::new(resources),
        ledger: Arc::new(Ledger::new(&run, deadline)),
    };

    tell("the load begins".into());
    let started = Instant::now();
    let load = driver.run(|_: &Sample, _| ());
    let faults = faults(&site, &driver.ledger, &schedule, started, &tell);
    let (measured, faults) = tokio::join!(load, faults);
    let measured = measured?;
    tell(format!("{} of {} requests are answered", measured.answered(), measured.samples.len()));
    let deaths = site.deaths().await;
    heal_all(&site).await?;

    settle(&driver.ledger, &service, Some(&callbacks), SETTLE_TIME).await?;
    tell("sessions, replays and callbacks are settled".into());
    // A gateway counts its rows when it has moved some, so those that it deferred and then delivered may not be counted yet.
    let until = (Instant::now() + USAGE_TIME).into();
    settle_usage(&driver.ledger, until, async || exported_usage(&site).await).await?;
    let unsettled_messages = unsettled_messages(&site).await?;
    let probe_error = probe(&driver).await.err().map(|error| format!("{error:#}"));
    let dead_letters = site.services.broker.depth(&Queue::DeadLetters).await?.ready;
    site.services.broker.close().await;
    Ok(Report {
        seed: schedule.seed,
        seconds: schedule.length.as_secs_f64(),
        planned: measured.samples.len(),
        not_sent: measured.not_sent(),
        faults,
        deaths,
        probe_error,
        unsettled_messages,
        dead_letters,
        verdict: driver.ledger.verdict(),
    })
}

/// Makes the faults of a schedule happen, each at its time.
async fn faults(
    site: &Site,
    ledger: &Ledger,
    schedule: &Schedule,
    started: Instant,
    tell: &(impl Fn(String) + Sync),
) -> Vec<FaultRecord> {
    let faults = schedule.faults.iter().map(async |fault| {
        sleep_until((started + fault.at).into()).await;
        tell(fault.to_string());
        let began = Instant::now();
        // `inject` panics if a server does not start again. The run goes on, because the verdict matters all the more then.
        let injected = AssertUnwindSafe(inject(site, fault)).catch_unwind();
        let end = match timeout(FAULT_TIME, injected).await {
            Ok(Ok(end)) => end,
            Ok(Err(panic)) => Err(anyhow::anyhow!(message(&*panic))),
            Err(_) => Err(anyhow::anyhow!("no recovery in {FAULT_TIME:?}")),
        };
        let recovered_after = began.elapsed();
        if is_disturbance(fault) {
            ledger.disturbed(began, Instant::now());
        }
        let name = fault.kind.name();
        tell(match &end {
            Ok(injected) => format!("{injected:?} after {recovered_after:.1?}: {name}"),
            Err(error) => format!("FAILED after {recovered_after:.1?}: {name}: {error:#}"),
        });
        FaultRecord::new(fault, recovered_after.as_secs_f64(), end)
    });
    join_all(faults).await
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Whether a fault excuses a job that ends without a result. The death of a worker does not: the broker delivers its jobs again.
fn is_disturbance(fault: &PlannedFault) -> bool {
    !matches!(
        fault.kind,
        FaultKind::WorkerKilled | FaultKind::WorkerTerminated | FaultKind::UnreadableMessages
    )
}

/// Messages of jobs and results that nobody has settled when nothing is on its way any more, delivered ones included. A consumer whose
/// deliveries nobody takes would hold some.
async fn unsettled_messages(site: &Site) -> anyhow::Result<u64> {
    let queues = [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results];
    let until = Instant::now() + QUEUES_TIME;
    loop {
        let listed = site.brokers[0].lock().await.control(&["list_queues", "name", "messages"]).await;
        let messages = |queue: &Queue| -> anyhow::Result<u64> { Ok(listed_of(&listed, queue)?.parse()?) };
        let unsettled = queues.iter().map(messages).sum::<anyhow::Result<u64>>()?;
        if unsettled == 0 || Instant::now() > until {
            return Ok(unsettled);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// All usage records, once the gateways have moved them to the object store.
async fn exported_usage(site: &Site) -> anyhow::Result<String> {
    let moved = async {
        for gateway in &site.gateways {
            let gateway = gateway.lock().await;
            for series in ["faceline_usage_deferred_records", "faceline_usage_rows"] {
                while gateway.metric(series).await? > 0.0 {
                    sleep(POLL_INTERVAL).await;
                }
            }
        }
        anyhow::Ok(())
    };
    timeout(USAGE_TIME, moved).await.context("the gateways do not move their usage records")??;
    let mut export = site.gateways[0].lock().await.command()?;
    // One day more on both sides, in case midnight passes during the run, or a clock jumps over it.
    let now = OffsetDateTime::now_utc();
    let [from, to] = [now - time::Duration::DAY, now + time::Duration::DAY].map(|at| at.date().to_string());
    let output = export
        .args(["usage", "export", "--records", "--format", "json", "--from", &from, "--to", &to])
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "usage export: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
