//! Memory over many jobs. Memory that still grows between the 2,000th and the 20,000th job is a leak.

use std::io::Write as _;

use super::Sample;
use crate::closed_loop::{self, Request};
use crate::site::{Setup, Site, listed};

const JOBS: [usize; 4] = [2_000, 8_000, 14_000, 20_000];

pub(super) async fn run(sample: &Sample, callers: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(Setup::Distributed).await?;
    let request = Request::new(&site.url, &sample.bytes)?;
    writeln!(out, "resident memory, {}:", sample.name)?;
    let mut done = 0;
    let mut readings = Vec::new();
    for jobs in JOBS {
        done += closed_loop::closed(&request, callers, (jobs - done).next_multiple_of(callers)).await?.jobs;
        let memory = site.resident_mib()?;
        writeln!(out, "  after {done} jobs: {} MiB", listed(&memory))?;
        readings.push(memory);
    }
    if let (Some(first), Some(last)) = (readings.first(), readings.last()) {
        let ratios = first.iter().zip(last).map(|((name, first), (_, last))| (*name, last / first)).collect();
        writeln!(out, "  last over first: {}", listed(&ratios))?;
    }
    Ok(())
}
