//! Overload: load at multiples of the service's peak, and a burst while the service is idle.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use faceline_shared::settings::Settings;
use serde::Serialize;
use tokio::time::sleep;

use super::arrivals::Phase;
use super::driver::Driver;
use super::flow::Resources;
use super::report::{LoadReport, Percentiles};
use super::samples::SampleEnd;
use super::scenario::Scenario;
use super::targets::Targets;
use crate::oracle::{Ledger, SentTo, Verdict};

/// Multiples of the peak.
const FACTORS: [f64; 3] = [1.0, 2.0, 3.0];
/// A burst has as many requests as the service answers in this part of the deadline at its peak. A gateway that refuses
/// no request lets jobs wait for half of the deadline.
const BURST_PART: f64 = 0.4;
/// Limit on the requests of a burst. It is somewhat below the number that a single client may have in flight by default
/// (seven eighths of 256).
const MAX_BURST: f64 = 200.0;
/// Goodput at the largest multiple must be at least this part of the peak.
pub const MIN_GOODPUT: f64 = 0.95;
/// The median refusal takes at most this part of a job's service time.
const MAX_REFUSAL_PART: f64 = 1.0 / 20.0;
/// The service is idle for this long before the burst.
const IDLE: Duration = Duration::from_secs(10);

/// The measurements of the service under overload.
#[derive(Clone, Debug, Serialize)]
pub struct OverloadReport {
    /// Answered requests a second of a closed loop.
    pub peak: f64,
    /// The median latency of a single caller of the idle service, in milliseconds: a job's service time, and the
    /// overhead of its request.
    pub service_ms: f64,
    /// The runs: each factor, and the last once more with callers that obey `Retry-After`.
    pub runs: Vec<OverloadRun>,
    /// Requests of the burst.
    pub burst: usize,
    /// Of these, requests that were not answered. There must be none.
    pub burst_refused: usize,
    /// The verdict of the oracle.
    pub verdict: Verdict,
}

/// Load at a multiple of the peak.
#[derive(Clone, Debug, Serialize)]
pub struct OverloadRun {
    /// The multiple.
    pub factor: f64,
    /// Whether refused callers retried after `Retry-After`.
    pub obeys_retry_after: bool,
    /// Answered requests a second while requests were sent, over the peak.
    pub goodput: f64,
    /// Requests of the schedule, without repeats.
    pub requests: usize,
    /// Requests that ended with their own result.
    pub answered: usize,
    /// Requests that ended with an error other than 429 and 503.
    pub failed: usize,
    /// Refusals without `Retry-After`. There must be none.
    pub refusals_without_retry_after: usize,
    /// Times from sending to refusal.
    pub refusal: Percentiles,
    /// Latencies of answered requests, from the intended time of sending.
    pub latency: Percentiles,
}

/// Measures the peak of `driver`'s mix by a closed loop of `callers`, and then sends multiples of it for `length` each.
///
/// # Errors
/// The service answers nothing at its peak.
pub async fn overload(driver: &Driver, callers: usize, length: Duration) -> anyhow::Result<OverloadReport> {
    let single = driver.closed(1, length / 4).await?;
    let service_ms = LoadReport::new(&driver.scenario, &single, None).latency.p50_ms;
    // The service estimates its capacity from its own throughput, so the first part does not count.
    driver.closed(callers, length / 4).await?;
    let at_peak = driver.closed(callers, length / 2).await?;
    let peak = at_peak.answered() as f64 / at_peak.elapsed.as_secs_f64();
    anyhow::ensure!(peak > 0.0, "the service answers nothing");
    let mut runs = Vec::new();
    let last = FACTORS[FACTORS.len() - 1];
    for (factor, obeys) in FACTORS.map(|factor| (factor, false)).into_iter().chain([(last, true)]) {
        let scenario = Scenario {
            phases: vec![Phase::Poisson { rate: peak * factor, seconds: length.as_secs_f64() }],
            obeys_retry_after: obeys,
            max_outstanding: usize::MAX,
            // Callers that obey `Retry-After` retry until all are answered: the load takes `factor` times as long.
            give_up_seconds: (length.as_secs_f64() * factor * 2.0) as u64 + driver.scenario.deadline_seconds,
            ..driver.scenario.clone()
        };
        let measured = Driver { scenario: scenario.clone(), ..driver.clone() }.run(|_, _| ()).await?;
        let done = measured.samples.iter().filter(|sample| sample.end == SampleEnd::Answered);
        let in_time = done.filter(|sample| sample.at + sample.latency <= length).count();
        let report = LoadReport::new(&scenario, &measured, None);
        runs.push(OverloadRun {
            factor,
            obeys_retry_after: obeys,
            goodput: in_time as f64 / length.as_secs_f64() / peak,
            requests: report.planned,
            answered: report.answered,
            failed: report.failed.values().sum(),
            refusals_without_retry_after: report.refusals_without_retry_after,
            refusal: report.refusal,
            latency: report.latency,
        });
    }
    sleep(IDLE).await;
    let deadline = driver.scenario.deadline_seconds as f64;
    let count = (peak * deadline * BURST_PART).min(MAX_BURST) as u32;
    let phases = vec![Phase::Burst { count, seconds: 1.0 }];
    let scenario = Scenario { phases, obeys_retry_after: false, ..driver.scenario.clone() };
    let burst = Driver { scenario, ..driver.clone() }.run(|_, _| ()).await?;
    let burst_refused = burst.samples.len() - burst.answered();
    let verdict = driver.ledger.verdict();
    Ok(OverloadReport { peak, service_ms, runs, burst: burst.samples.len(), burst_refused, verdict })
}

impl OverloadReport {
    /// The requirements that the service did not meet, as texts; empty if it met all.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut require = |holds: bool, otherwise: String| {
            if !holds {
                found.push(otherwise);
            }
        };
        let largest = self.runs.iter().map(|run| run.factor).fold(0.0, f64::max);
        for run in &self.runs {
            let OverloadRun { factor, failed, refusals_without_retry_after: without, .. } = run;
            let name = format!("{factor}x{}", if run.obeys_retry_after { ", obeying callers" } else { "" });
            require(*failed == 0, format!("{name}: {failed} requests failed"));
            require(*without == 0, format!("{name}: {without} refusals have no Retry-After"));
            let goodput = run.goodput;
            require(
                *factor < largest || goodput >= MIN_GOODPUT,
                format!("{name}: goodput {goodput:.2} of the peak, not {MIN_GOODPUT}"),
            );
            let (refusal, most) = (run.refusal.p50_ms, self.service_ms * MAX_REFUSAL_PART);
            require(
                run.refusal.count == 0 || refusal <= most,
                format!("{name}: the median refusal takes {refusal:.2} ms, not {most:.2}"),
            );
            let unanswered = run.requests - run.answered;
            require(
                !run.obeys_retry_after || unanswered == 0,
                format!("{name}: {unanswered} requests are not answered"),
            );
        }
        let refused = self.burst_refused;
        require(
            refused == 0,
            format!("the idle service did not answer {refused} of a burst that fits its deadline"),
        );
        require(self.verdict.is_conserved(), "something was lost, done twice or mixed up".to_owned());
        found
    }
}

impl fmt::Display for OverloadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peak, service_ms, runs, burst, burst_refused, verdict } = self;
        writeln!(formatter, "peak {peak:.1} a second; one caller alone waits {service_ms:.2} ms (median)")?;
        for run in runs {
            let obeys = if run.obeys_retry_after { ", callers obey Retry-After" } else { "" };
            writeln!(
                formatter,
                "{}x{obeys}: goodput {:.2} of the peak; {} requests, {} answered, {} failed",
                run.factor, run.goodput, run.requests, run.answered, run.failed
            )?;
            writeln!(
                formatter,
                "    answered after {:.0} ms (median), {:.0} ms (99 %); {} refusals after {:.2} ms (median, {:.3} of {service_ms:.2} ms), {} without Retry-After",
                run.latency.p50_ms,
                run.latency.p99_ms,
                run.refusal.count,
                run.refusal.p50_ms,
                run.refusal.p50_ms / service_ms,
                run.refusals_without_retry_after
            )?;
        }
        writeln!(formatter, "a burst of {burst} to the idle service: {burst_refused} not answered")?;
        write!(formatter, "{verdict}")
    }
}

/// Measure the peak throughput, then send one, two and three times as much, and a burst to the idle service
#[derive(Clone, Debug, clap::Args)]
pub struct OverloadCommand {
    /// Address of a gateway
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Number of callers of the closed loop that measures the peak
    #[arg(long, default_value_t = 12)]
    callers: usize,
    /// Length of each load, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// File for the report, in JSON
    #[arg(long)]
    report: Option<std::path::PathBuf>,
}

impl OverloadCommand {
    /// Executes the command.
    ///
    /// # Errors
    /// The service does not work, or has [shortcomings](OverloadReport::shortcomings).
    pub async fn run(self) -> anyhow::Result<()> {
        let scenario = Scenario::faces("overload", Vec::new());
        let service = SentTo::demo(&self.url);
        let folder = Settings::default().models.dir.join("pictures");
        let driver = Driver {
            resources: Arc::new(Resources::prepare(&scenario, &folder, &service, None).await?),
            ledger: Arc::new(Ledger::new("overload", Duration::from_secs(scenario.deadline_seconds))),
            targets: Arc::new(Targets::new(std::slice::from_ref(&self.url))),
            scenario,
        };
        let report = overload(&driver, self.callers, Duration::from_secs(self.seconds)).await?;
        writeln!(std::io::stdout(), "{report}")?;
        if let Some(file) = &self.report {
            std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
        }
        let shortcomings = report.shortcomings();
        anyhow::ensure!(shortcomings.is_empty(), "{}", shortcomings.join("\n"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentiles(p50_ms: f64) -> Percentiles {
        Percentiles { count: 10, p50_ms, ..Percentiles::default() }
    }

    fn run(factor: f64, obeys_retry_after: bool) -> OverloadRun {
        OverloadRun {
            factor,
            obeys_retry_after,
            goodput: if factor < 3.0 { 0.9 } else { 0.96 },
            requests: 100,
            answered: if obeys_retry_after { 100 } else { 30 },
            failed: 0,
            refusals_without_retry_after: 0,
            refusal: percentiles(0.9),
            latency: percentiles(100.0),
        }
    }

    #[test]
    fn each_shortcoming_is_named() {
        let good = OverloadReport {
            peak: 100.0,
            service_ms: 20.0,
            runs: vec![run(1.0, false), run(3.0, false), run(3.0, true)],
            burst: 50,
            burst_refused: 0,
            verdict: Verdict::default(),
        };
        assert_eq!(good.shortcomings(), [""; 0]);
        let with = |change: fn(&mut OverloadReport)| {
            let mut report = good.clone();
            change(&mut report);
            report.shortcomings().join("\n")
        };
        for (found, expected) in [
            (with(|report| report.runs[1].goodput = 0.94), "3x: goodput 0.94 of the peak"),
            (with(|report| report.runs[0].failed = 2), "1x: 2 requests failed"),
            (
                with(|report| report.runs[1].refusals_without_retry_after = 1),
                "1 refusals have no Retry-After",
            ),
            (
                with(|report| report.runs[1].refusal.p50_ms = 1.1),
                "the median refusal takes 1.10 ms, not 1.00",
            ),
            (with(|report| report.runs[2].answered = 99), "3x, obeying callers: 1 requests are not answered"),
            (with(|report| report.burst_refused = 3), "did not answer 3 of a burst"),
            (with(|report| report.verdict.lost = 1), "something was lost"),
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }
}
