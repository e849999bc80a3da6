//! One, two and three times the load that the service can carry.
//!
//! Each of many callers has one request every two seconds. A refused caller retries after `Retry-After` until it is
//! answered, and skips the requests that were due in the meantime. At three times the capacity the service receives
//! three times as many requests as it can answer, until its refusals have spread them. Goodput counts the answers that
//! arrive before the end of a load, over its planned length. The last jobs and a caller's last wait do not extend it.
//! Peaks are measured before and after each load.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::targets::{Figure, TargetCheck};
use super::{Sample, measure};
use crate::closed_loop::{Request, ServiceAnswer};
use crate::procfs;
use crate::site::{GATEWAY, Setup, Site, of_program, total};

/// Time between two requests of a caller who is not refused.
const PERIOD: Duration = Duration::from_secs(2);

/// Loads, in multiples of the peak.
const FACTORS: [u32; 3] = [1, 2, 3];
/// The load for which goodput and refusals have targets.
const TARGET_FACTOR: u32 = 3;

/// The results of callers.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Latency of each answered request, without refusals before it.
    latencies: Vec<Duration>,
    /// Requests that were answered before the end of the load.
    in_time: usize,
    refused: usize,
    /// First retries after a refusal, at the time that `Retry-After` named.
    next_tries: usize,
    /// First retries that were answered.
    next_answered: usize,
    /// Results that are neither an answer nor a refusal.
    errors: Vec<String>,
}

impl Tally {
    fn merge(mut self, other: Self) -> Self {
        self.latencies.extend(other.latencies);
        self.errors.extend(other.errors);
        self.in_time += other.in_time;
        self.refused += other.refused;
        self.next_tries += other.next_tries;
        self.next_answered += other.next_answered;
        self
    }

    /// Counts the answer to a request.
    fn count_answer(&mut self, sent: Instant, answered: Instant, end: Instant) {
        self.latencies.push(answered - sent);
        self.in_time += usize::from(answered <= end);
    }

    /// Answers a second over a load of this length.
    fn goodput(&self, length: Duration) -> f64 {
        self.in_time as f64 / length.as_secs_f64()
    }

    /// A percentile of the latencies; `part` is from 0 to 1.
    fn percentile(&self, part: f64) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let index = ((latencies.len() as f64 * part) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [0.5, 0.99].map(|part| self.percentile(part).as_millis());
        write!(formatter, "answered after {median} ms (median), {p99} ms (99 %)")?;
        if self.next_tries > 0 {
            let share = self.next_answered as f64 / self.next_tries as f64;
            write!(
                formatter,
                "; {} refused, of {} next tries after Retry-After {:.1} % answered",
                self.refused,
                self.next_tries,
                share * 100.0
            )?;
        }
        Ok(())
    }
}

/// The service at its peak: callers who send the next request once they have an answer.
struct Peak {
    jobs_per_second: f64,
    /// CPU time of a job in all processes, in milliseconds.
    job_ms: f64,
    /// CPU time of a job in the gateway, in milliseconds.
    gateway_ms: f64,
    /// Cores that the callers used.
    callers_cores: f64,
}

impl Peak {
    async fn measure(
        site: &Site,
        request: &Request,
        callers: usize,
        sample: &Sample,
    ) -> anyhow::Result<Self> {
        let own_before = procfs::cpu_seconds(std::process::id())?;
        let (done, used) = measure(site, request, callers, sample.jobs).await?;
        let own = procfs::cpu_seconds(std::process::id())? - own_before;
        Ok(Self {
            jobs_per_second: done.per_second(),
            job_ms: total(&used),
            gateway_ms: of_program(&used, GATEWAY),
            callers_cores: own / done.elapsed.as_secs_f64(),
        })
    }

    /// The mean of two peaks.
    fn mean(&self, other: &Self) -> Self {
        let mean = |figure: fn(&Self) -> f64| f64::midpoint(figure(self), figure(other));
        Self {
            jobs_per_second: mean(|peak| peak.jobs_per_second),
            job_ms: mean(|peak| peak.job_ms),
            gateway_ms: mean(|peak| peak.gateway_ms),
            callers_cores: mean(|peak| peak.callers_cores),
        }
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs_per_second, job_ms, gateway_ms, callers_cores } = self;
        write!(
            formatter,
            "peak {jobs_per_second:.1} jobs/s, {job_ms:.2} ms CPU a job ({gateway_ms:.2} in the gateway), callers {callers_cores:.2} cores"
        )
    }
}

pub(super) async fn run(
    sample: &Sample,
    callers: usize,
    seconds: u64,
    targets: &mut TargetCheck,
) -> anyhow::Result<()> {
    let length = Duration::from_secs(seconds);
    let mut out = std::io::stdout();
    let site = Site::start(Setup::Distributed).await?;
    let request = sample.warm_up(&site.url, callers).await?;
    let mut before = Peak::measure(&site, &request, callers, sample).await?;
    writeln!(out, "overload, {}:\n  {before}", sample.name)?;

    for factor in FACTORS {
        let rate = before.jobs_per_second * f64::from(factor);
        let load = Load::run(&site, &request, rate, length).await?;
        // The speed of a shared machine changes within minutes, so a load is compared with the peaks around it.
        let after = Peak::measure(&site, &request, callers, sample).await?;
        let peak = before.mean(&after);
        let Load { tally, gateway_seconds, callers_cores } = load;
        let mut judge = |figure, measured| {
            if factor == TARGET_FACTOR {
                targets.judge(figure, sample.name, "at three times the peak", measured)
            } else {
                String::new()
            }
        };
        let goodput = tally.goodput(length) / peak.jobs_per_second;
        writeln!(
            out,
            "  {factor}x: goodput {goodput:.2} of peak, callers {callers_cores:.2} cores; {tally}{}",
            judge(Figure::Goodput, goodput)
        )?;
        // The gateway's CPU time of an answer is assumed to be that of the peak. Without a refusal there is no figure,
        // which misses its target.
        let answers_ms = peak.gateway_ms * tally.latencies.len() as f64;
        let refusal = (gateway_seconds * 1e3 - answers_ms) / tally.refused as f64;
        if tally.refused > 0 || factor == TARGET_FACTOR {
            writeln!(
                out,
                "      gateway {refusal:.3} ms CPU a refusal, {:.4} of a job's CPU{}",
                refusal / peak.job_ms,
                judge(Figure::RefusalCpu, refusal)
            )?;
        }
        if let Some(error) = tally.errors.first() {
            writeln!(out, "      {} errors, the first: {error}", tally.errors.len())?;
            targets.miss(format!("errors ({}, {factor}x): {}", sample.name, tally.errors.len()));
        }
        writeln!(out, "  {after}")?;
        before = after;
    }
    Ok(())
}

/// What a load did.
struct Load {
    tally: Tally,
    /// CPU time of the gateway, in seconds.
    gateway_seconds: f64,
    /// Cores that the callers used.
    callers_cores: f64,
}

impl Load {
    /// Runs callers that make `rate` requests a second together.
    async fn run(site: &Site, request: &Request, rate: f64, length: Duration) -> anyhow::Result<Self> {
        let count = (rate * PERIOD.as_secs_f64()).ceil() as u32;
        // Each caller has connections of its own, as real callers do. Making a client takes milliseconds of CPU time,
        // which is no part of the load.
        let requests: Vec<_> = (0..count).map(|_| request.of_another_caller()).collect();
        let gateway_before = of_program(&site.cpu_seconds()?, GATEWAY);
        let (own_before, start) = (procfs::cpu_seconds(std::process::id())?, Instant::now());
        let callers = requests.into_iter().zip(0..count).map(|(request, number)| {
            let first = start + PERIOD.mul_f64(f64::from(number) / f64::from(count));
            tokio::spawn(async move { caller(&request, first, start + length).await })
        });
        let tallies = join_all(callers).await.into_iter().map(|tally| match tally {
            Ok(tally) => tally,
            Err(panic) => Tally { errors: vec![panic.to_string()], ..Tally::default() },
        });
        let tally = tallies.fold(Tally::default(), Tally::merge);
        let elapsed = start.elapsed().as_secs_f64();
        Ok(Self {
            tally,
            gateway_seconds: of_program(&site.cpu_seconds()?, GATEWAY) - gateway_before,
            callers_cores: (procfs::cpu_seconds(std::process::id())? - own_before) / elapsed,
        })
    }
}

async fn caller(request: &Request, first: Instant, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut due = first;
    while due < end {
        sleep_until(due).await;
        let mut again = false;
        while Instant::now() < end {
            let sent = Instant::now();
            let answer = request.send().await;
            tally.next_tries += usize::from(again);
            match answer {
                Ok(ServiceAnswer::Done) => {
                    tally.next_answered += usize::from(again);
                    tally.count_answer(sent, Instant::now(), end);
                    break;
                }
                Ok(ServiceAnswer::Refused(wait)) => {
                    tally.refused += 1;
                    again = true;
                    sleep_until(end.min(Instant::now() + wait)).await;
                }
                Err(error) => {
                    tally.errors.push(format!("{error:#}"));
                    break;
                }
            }
        }
        while due < Instant::now() {
            due += PERIOD;
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let latencies = [30, 10, 20, 40].map(Duration::from_millis).to_vec();
        let tally = Tally { latencies, ..Tally::default() };
        assert_eq!(tally.percentile(0.5), Duration::from_millis(30));
        assert_eq!(tally.percentile(0.99), Duration::from_millis(40));
        assert_eq!(Tally::default().percentile(0.5), Duration::ZERO);
    }

    #[test]
    fn answers_after_the_end_are_no_goodput() {
        let (start, length) = (Instant::now(), Duration::from_secs(10));
        let mut tally = Tally::default();
        for seconds in [1, 10, 11] {
            tally.count_answer(start, start + Duration::from_secs(seconds), start + length);
        }
        assert_eq!((tally.latencies.len(), tally.in_time), (3, 2));
        assert_eq!(tally.goodput(length), 0.2);
    }
}
