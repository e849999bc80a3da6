//! Memory over many jobs. Memory that still grows between the 2,000th and the 20,000th job is a leak.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::sleep;

use super::targets::{Figure, TargetCheck};
use super::{Sample, median};
use crate::closed_loop::{self, Request};
use crate::site::{Figures, Setup, Site, listed};

const JOBS: [usize; 4] = [2_000, 8_000, 14_000, 20_000];
/// Time without jobs before the readings. The allocator keeps free memory for a second and then returns it, whether or
/// not there are jobs, so all that is resident afterwards is in use. No event marks the end of this.
const SETTLING_TIME: Duration = Duration::from_secs(3);
/// Number of readings. Every 30 s (`usage.interval`) a gateway moves the usage records since then from Redis into its
/// file, and needs some MiB for them for one to two seconds. Their median does not depend on that.
const READINGS: usize = 5;
const READING_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(sample: &Sample, callers: usize, targets: &mut TargetCheck) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(Setup::Distributed).await?;
    let request = Request::new(&site.url, &sample.bytes)?;
    writeln!(
        out,
        "resident memory, {}, {} s after the last job, median of {READINGS} readings:",
        sample.name,
        SETTLING_TIME.as_secs()
    )?;
    let mut done = 0;
    let mut memories = Vec::new();
    for jobs in JOBS {
        done += closed_loop::closed(&request, callers, (jobs - done).next_multiple_of(callers)).await?.jobs;
        let memory = resident_mib(&site).await?;
        writeln!(out, "  after {done} jobs: {} MiB", listed(&memory))?;
        memories.push(memory);
    }
    if let (Some(first), Some(last)) = (memories.first(), memories.last()) {
        for (program, percent) in growth(first, last) {
            let verdict = targets.judge(Figure::MemoryGrowth, sample.name, program, percent);
            writeln!(out, "  {program} grew by {percent:.2} %{verdict}")?;
        }
    }
    Ok(())
}

/// Resident memory of Faceline's idle programs, in MiB, as the median of some readings.
async fn resident_mib(site: &Site) -> anyhow::Result<Figures> {
    sleep(SETTLING_TIME).await;
    let mut readings = Vec::new();
    for _ in 0..READINGS {
        sleep(READING_INTERVAL).await;
        readings.push(site.resident_mib()?);
    }
    Ok(medians(&readings))
}

/// The median of each program's readings.
fn medians(readings: &[Figures]) -> Figures {
    let Some(first) = readings.first() else { return Figures::new() };
    let of_program = |index: usize| readings.iter().map(|figures| figures[index].1).collect::<Vec<_>>();
    first.iter().enumerate().map(|(index, (name, _))| (*name, median(&mut of_program(index)))).collect()
}

/// The growth of each program's memory, in percent.
fn growth(first: &Figures, last: &Figures) -> Figures {
    first.iter().zip(last).map(|((name, first), (_, last))| (*name, (last / first - 1.0) * 100.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_each_programs_readings() {
        let reading = |gateway, worker| vec![("gateway", gateway), ("worker", worker)];
        let readings = [reading(30.0, 200.0), reading(90.0, 100.0), reading(31.0, 300.0)];
        assert_eq!(medians(&readings), [("gateway", 31.0), ("worker", 200.0)]);
        assert!(medians(&[]).is_empty());
    }

    #[test]
    fn growth_is_a_part_of_the_first_reading() {
        let first = vec![("gateway", 40.0), ("worker", 200.0)];
        let last = vec![("gateway", 50.0), ("worker", 150.0)];
        assert_eq!(growth(&first, &last), [("gateway", 25.0), ("worker", -25.0)]);
    }
}
