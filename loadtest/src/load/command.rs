//! `faceline-loadtest load …`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use faceline_shared::settings::Settings;
use tokio::process::Command;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::arrivals::Phase;
use super::driver::{Driver, probe};
use super::flow::Resources;
use super::monitor::watch;
use super::report::LoadReport;
use super::samples::{Sample, SampleEnd};
use super::scenario::Scenario;
use super::targets::Targets;
use crate::oracle::{CallbackReceiver, Ledger, Operation, SentTo, settle, settle_callbacks, settle_usage};

/// Time between two lines of progress, and two readings of metrics.
const PERIOD: Duration = Duration::from_millis(500);

/// Send requests on a fixed schedule, and check the outcome of each
#[derive(Clone, Debug, clap::Args)]
pub struct LoadCommand {
    /// Address of a gateway; repeat the flag to spread the requests over several gateways
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Vec<String>,
    /// Address of a gateway's operators' listener, such as http://127.0.0.1:9090, whose metrics the report shows
    #[arg(long)]
    metrics: Option<String>,
    /// Scenario file (TOML). Without it, face requests with small pictures are sent at --rate for --seconds
    #[arg(long, conflicts_with_all = ["rate", "seconds"])]
    scenario: Option<PathBuf>,
    /// Mean number of requests per second, as a Poisson process
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Length of the load, in seconds
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Factor by which all rates are multiplied
    #[arg(long, default_value_t = 1.0)]
    times: f64,
    /// Seed of the schedule [default: the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Let refused callers retry after `Retry-After`
    #[arg(long)]
    obey_retry_after: bool,
    /// Folder for the report: load.json and load.html
    #[arg(long)]
    report: Option<PathBuf>,
    /// Answer every n-th callback of a replay with 500, which causes another attempt; 0 for none
    #[arg(long, default_value_t = 4)]
    fail_callbacks: usize,
    /// Do not check sessions, replays and callbacks after the load
    #[arg(long)]
    no_settling: bool,
    /// Maximum time to wait for outstanding results after the load, in seconds
    #[arg(long, default_value_t = 120)]
    settle_seconds: u64,
    /// Shell command that prints usage records (`faceline usage export --records --format json …`). It is repeated after the load
    /// until no record is missing, for at most `--settle-seconds`
    #[arg(long, value_name = "COMMAND")]
    usage_export: Option<String>,
    /// Name of the run, with which request ids begin [default: a unique name]
    #[arg(long)]
    run: Option<String>,
}

impl LoadCommand {
    /// Executes the command.
    ///
    /// # Errors
    /// The scenario cannot be read, the service does not work before the load or after it, or something was lost, done
    /// twice or mixed up.
    pub async fn run(self) -> anyhow::Result<()> {
        let scenario = self.scenario()?;
        let service = self.service(&scenario);
        let has_replays = scenario.mix.iter().any(|entry| entry.operation == Operation::Replay);
        let receiver = match has_replays {
            true => Some(CallbackReceiver::start(self.fail_callbacks).await?),
            false => None,
        };
        let folder = Settings::default().models.dir.join("pictures");
        let callback_url = receiver.as_ref().map(CallbackReceiver::url);
        let resources = Resources::prepare(&scenario, &folder, &service, callback_url).await?;
        let run = self.run.clone().unwrap_or_else(new_run);
        let driver = Driver {
            ledger: Arc::new(Ledger::new(&run, Duration::from_secs(scenario.deadline_seconds))),
            targets: Arc::new(Targets::new(&self.url)),
            resources: Arc::new(resources),
            scenario,
        };
        let states = Arc::new(Mutex::new(Vec::new()));
        let watching = self.metrics.clone().map(|url| {
            let (states, started) = (Arc::clone(&states), Instant::now());
            AbortOnDropHandle::new(tokio::spawn(async move {
                let seen = |state| states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
                watch(&url, PERIOD, started, seen).await;
            }))
        });
        let mut progress = Progress::default();
        let mut measured = driver.run(|sample, waiting| progress.show(sample, waiting)).await?;
        drop(watching);
        measured.states = std::mem::take(&mut states.lock().unwrap_or_else(PoisonError::into_inner));
        // The report is written even if a check fails.
        let mut checks = Vec::new();
        if !self.no_settling {
            let time = Duration::from_secs(self.settle_seconds);
            checks.push(settle(&driver.ledger, &service.url, receiver.as_ref(), time).await);
        }
        checks.push(probe(&driver, 0).await.context("the service does not work after the load"));
        if let Some(command) = &self.usage_export {
            checks.push(self.read_usage(&driver.ledger, command).await);
        }
        // The probe sends a replay of its own, whose callback may still be pending.
        if let Some(receiver) = receiver.as_ref().filter(|_| !self.no_settling) {
            let until = Instant::now() + Duration::from_secs(self.settle_seconds);
            settle_callbacks(&driver.ledger, receiver, until).await;
        }
        let verdict = driver.ledger.verdict();
        let report = LoadReport::new(&driver.scenario, &measured, Some(verdict.clone()));
        if let Some(folder) = &self.report {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("load.json"), report.json()?)?;
            std::fs::write(folder.join("load.html"), report.html()?)?;
        }
        summary(&report)?;
        checks.into_iter().collect::<anyhow::Result<()>>()?;
        anyhow::ensure!(measured.answered() > 0, "nothing was answered");
        anyhow::ensure!(verdict.is_conserved(), "something was lost, done twice or mixed up");
        Ok(())
    }

    /// Compares usage records with the ledger.
    async fn read_usage(&self, ledger: &Ledger, command: &str) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(self.settle_seconds);
        settle_usage(ledger, until, async || {
            let output = Command::new("sh").args(["-c", command]).output().await?;
            let error = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(output.status.success(), "{command}: {error}");
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        })
        .await
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        let mut scenario = match &self.scenario {
            Some(file) => Scenario::read(file)?,
            None => {
                let phases = vec![Phase::Poisson { rate: self.rate, seconds: self.seconds }];
                anyhow::ensure!(phases[0].is_valid(), "rate or length are out of bounds");
                Scenario::faces("faces", phases)
            }
        };
        scenario.phases = scenario.phases.iter().map(|phase| phase.times(self.times)).collect();
        scenario.seed = self.seed.unwrap_or(scenario.seed);
        scenario.obeys_retry_after |= self.obey_retry_after;
        Ok(scenario)
    }

    /// The first gateway with the first caller's credentials, for requests before and after the load.
    fn service(&self, scenario: &Scenario) -> SentTo {
        let url = self.url.first().map_or("", |url| url.trim_end_matches('/')).to_owned();
        let callers = scenario.callers();
        let client = &callers[0];
        SentTo { url, api_key: client.api_key.clone(), basic: (client.user.clone(), client.password.clone()) }
    }
}

/// A unique name for a run.
fn new_run() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("load-{:x}", now.as_micros())
}

/// The line of progress.
#[derive(Debug, Default)]
struct Progress {
    shown: Option<Instant>,
    answered: usize,
    refused: usize,
    failed: usize,
    not_sent: usize,
    /// Latencies of answered requests since the last line.
    latest: Vec<Duration>,
}

impl Progress {
    fn show(&mut self, sample: &Sample, waiting: usize) {
        match sample.end {
            SampleEnd::Answered => self.answered += 1,
            SampleEnd::Refused(_) => self.refused += 1,
            SampleEnd::Failed(_) => self.failed += 1,
            SampleEnd::NotSent => self.not_sent += 1,
        }
        if sample.end == SampleEnd::Answered {
            self.latest.push(sample.latency);
        }
        if self.shown.is_some_and(|shown| shown.elapsed() < PERIOD) {
            return;
        }
        self.shown = Some(Instant::now());
        self.latest.sort_unstable();
        let median = self.latest.get(self.latest.len() / 2).copied().unwrap_or_default();
        self.latest.clear();
        let mut out = std::io::stderr();
        // A closed terminal must not end the load.
        let _ = write!(
            out,
            "\r{:7.1} s: answered {}, refused {}, failed {}, not sent {}, waiting {waiting}, median {} ms   ",
            sample.at.as_secs_f64(),
            self.answered,
            self.refused,
            self.failed,
            self.not_sent,
            median.as_millis()
        );
        let _ = out.flush();
    }
}

fn summary(report: &LoadReport) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "\n{}: {} planned, {} not sent, {} attempts, {} answered in {:.1} s ({:.1}/s)",
        report.scenario,
        report.planned,
        report.not_sent,
        report.attempts,
        report.answered,
        report.seconds,
        report.goodput
    )?;
    for (name, times) in [
        ("answered after", &report.latency),
        ("refused after", &report.refusal),
        ("lag of the generator", &report.generator_lag),
    ] {
        writeln!(
            out,
            "{name}: median {:.1} ms, 90 % {:.1} ms, 99 % {:.1} ms, longest {:.1} ms ({})",
            times.p50_ms, times.p90_ms, times.p99_ms, times.max_ms, times.count
        )?;
    }
    if let Some(verdict) = &report.verdict {
        writeln!(out, "{verdict}")?;
    }
    Ok(())
}
