//! Memory over many jobs: what grows between the 500th and the 2,000th grows for ever.

use std::io::Write as _;

use super::Sample;
use crate::load::{self, Request};
use crate::site::{Kind, Site, listed};

const JOBS: [usize; 4] = [500, 1000, 1500, 2000];

pub(super) async fn run(sample: &Sample, callers: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(Kind::Distributed).await?;
    let request = Request::new(&site.url, &sample.bytes)?;
    writeln!(out, "resident memory, {}:", sample.name)?;
    let mut done = 0;
    let mut looks = Vec::new();
    for jobs in JOBS {
        done += load::closed(&request, callers, (jobs - done).next_multiple_of(callers)).await?.jobs;
        let memory = site.resident_mib()?;
        writeln!(out, "  after {done} jobs: {} MiB", listed(&memory))?;
        looks.push(memory);
    }
    if let (Some(first), Some(last)) = (looks.first(), looks.last()) {
        let ratios = first.iter().zip(last).map(|((name, first), (_, last))| (*name, last / first)).collect();
        writeln!(out, "  last over first: {}", listed(&ratios))?;
    }
    Ok(())
}
