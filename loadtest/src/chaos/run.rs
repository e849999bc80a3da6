//! A run: load and faults at the same time, then a quiet time, then the verdict of the oracle.

use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_shared::broker::Queue;
use faceline_shared::settings::Settings;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::{sleep, sleep_until, timeout};

use super::checks::{
    CheckErrors, USAGE_TIME, exported_usage, panic_message, probe_gateways, quiet_time, unsettled_messages,
};
use super::fault::FaultKind;
use super::inject::{Injected, heal_all, inject};
use super::report::{FaultRecord, Report};
use super::schedule::Schedule;
use super::site::{Builds, Site};
use crate::load::{Client, Driver, Resources, Sample, Scenario, Targets};
use crate::oracle::{CallbackReceiver, Ledger, SentTo, reconcile_callbacks, settle, settle_usage};

/// Time limit after the load for all that is still pending, such as replays and callbacks.
const SETTLE_TIME: Duration = Duration::from_mins(3);
/// Time limit for a fault and the recovery from it. A fault that exceeds it has failed.
const FAULT_TIME: Duration = Duration::from_mins(4);
/// One of this many deliveries of callbacks is answered with 500.
const FAILED_CALLBACKS: usize = 7;

/// The definition of a run.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// The load. Its length is that of the schedule, and its seed is the schedule's.
    pub scenario: Scenario,
    /// The kinds of faults.
    pub kinds: Vec<FaultKind>,
    /// The builds of the programs.
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

/// Starts a site, puts load and faults on it, waits until it is quiet, and reports the outcome of every request. Calls
/// `report` with lines of progress.
///
/// # Errors
/// The site does not start, or does not answer before the load begins. Later findings and failed checks are no errors
/// here: the report contains them.
///
/// # Panics
/// A server does not start.
pub async fn run(chaos: &Chaos, report: impl Fn(&str) + Send + Sync) -> anyhow::Result<Report> {
    let run_started = Instant::now();
    let log = |text: String| report(&format!("{:7.1} s  {text}", run_started.elapsed().as_secs_f64()));
    let schedule = chaos.schedule();
    let site = Site::start(chaos.builds.clone(), &chaos.logs).await?;
    log("the site is ready".into());
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
        ledger: Arc::new(Ledger::new(&run, deadline).with_spare_capacity()),
    };

    log("the load begins".into());
    let started = Instant::now();
    let load = driver.run(|_: &Sample, _| ());
    let faults = faults(&site, &driver.ledger, &schedule, started, &log);
    let (measured, faults) = tokio::join!(load, faults);
    // From here on an error must not prevent the report: after an error, the findings of the oracle matter most.
    let mut errors = CheckErrors::default();
    let measured = errors.keep("load", ready(measured)).await.unwrap_or_default();
    log(format!("{} of {} requests are answered", measured.answered(), measured.samples.len()));
    errors.keep("undoing the faults", Box::pin(heal_all(&site))).await;

    let settled = Box::pin(settle(&driver.ledger, &site.urls[0], Some(&callbacks), SETTLE_TIME));
    errors.keep("sessions, replays and callbacks", settled).await;
    log("sessions, replays and callbacks are settled".into());
    // A gateway updates the count of its rows only when it moves some, so rows that it deferred and then delivered may
    // not be counted yet.
    let until = (Instant::now() + USAGE_TIME).into();
    let usage = Box::pin(settle_usage(&driver.ledger, until, async || exported_usage(&site).await));
    errors.keep("usage records", usage).await;
    let probe_errors = errors.keep("probe", Box::pin(probe_gateways(&site, &driver))).await;
    log("usage records are settled, and the gateways are probed".into());
    // This waits for a callback that must not come: one that was delivered, and whose record was lost. A gateway sends
    // it again when the lease of its row is over. No event shows that it will not do so, so the run waits for the whole
    // time in which it would.
    sleep(quiet_time()).await;
    reconcile_callbacks(&driver.ledger, &callbacks);
    let unsettled_messages = errors.keep("unsettled messages", Box::pin(unsettled_messages(&site))).await;
    let dead_letters = async { anyhow::Ok(site.services.broker.depth(&Queue::DeadLetters).await?.ready) };
    let dead_letters = errors.keep("dead letters", dead_letters).await;
    site.services.broker.close().await;
    Ok(Report {
        seed: schedule.seed,
        seconds: schedule.length.as_secs_f64(),
        planned: measured.samples.len(),
        answered: measured.answered(),
        not_sent: measured.not_sent(),
        faults,
        deaths: site.deaths().await,
        probe_errors: probe_errors.unwrap_or_default(),
        check_errors: errors.into_texts(),
        unsettled_messages,
        dead_letters,
        verdict: driver.ledger.verdict(),
    })
}

/// Injects the faults of a schedule, each at its time.
async fn faults(
    site: &Site,
    ledger: &Ledger,
    schedule: &Schedule,
    started: Instant,
    log: &(impl Fn(String) + Sync),
) -> Vec<FaultRecord> {
    let faults = schedule.faults.iter().map(async |fault| {
        sleep_until((started + fault.at).into()).await;
        log(fault.to_string());
        let began = Instant::now();
        // `inject` panics if a server does not start again. The run continues, because its verdict matters most then.
        let injected = AssertUnwindSafe(inject(site, fault)).catch_unwind();
        let mut end = match timeout(FAULT_TIME, injected).await {
            Ok(Ok(end)) => end,
            Ok(Err(panic)) => Err(anyhow::anyhow!(panic_message(&*panic))),
            Err(_) => Err(anyhow::anyhow!("not undone within {FAULT_TIME:?}")),
        };
        if matches!(end, Ok(Injected::Done)) {
            // A fault of another part may hold a program at this time. The wait includes that program, and delays no
            // fault.
            end = site.recovered((began + FAULT_TIME).into()).await.map(|()| Injected::Done);
        }
        let recovered_after = began.elapsed();
        let has_happened = !matches!(end, Ok(Injected::Skipped(_)));
        if has_happened && fault.kind.is_disturbance() {
            ledger.disturbed(began, Instant::now());
        } else if has_happened && fault.kind.disturbs_deliveries() {
            ledger.deliveries_disturbed(began, Instant::now());
        }
        let name = fault.kind.name();
        log(match &end {
            Ok(injected) => format!("{injected:?} after {recovered_after:.1?}: {name}"),
            Err(error) => format!("FAILED after {recovered_after:.1?}: {name}: {error:#}"),
        });
        FaultRecord::new(fault, recovered_after.as_secs_f64(), end)
    });
    join_all(faults).await
}
