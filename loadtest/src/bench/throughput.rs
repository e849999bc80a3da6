//! The whole service over the bare pipeline.

use std::io::Write as _;

use super::{Sample, median};
use crate::bare;
use crate::closed_loop::{self, Request};
use crate::site::{Setup, Site, listed, ms_per_job, total};

/// Gateway and worker over RabbitMQ and Redis, and everything in one process.
pub(super) async fn run(samples: &[&Sample], callers: usize, rounds: usize) -> anyhow::Result<()> {
    for (setup, name) in [(Setup::Distributed, "RabbitMQ and Redis"), (Setup::Standalone, "standalone")] {
        let site = Site::start(setup).await?;
        for sample in samples {
            one(&site, name, sample, callers, rounds).await?;
        }
    }
    Ok(())
}

async fn one(site: &Site, name: &str, sample: &Sample, callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "service ({name}) and bare pipeline, {}, {} kB:", sample.name, sample.bytes.len() / 1000)?;
    let request = Request::new(&site.url, &sample.bytes)?;
    closed_loop::closed(&request, callers, sample.jobs / 5).await?;

    let (mut rates, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = bare::run(&sample.file, sample.jobs / 2, None).await?;
        let before = site.cpu_seconds()?;
        let done = closed_loop::closed(&request, callers, sample.jobs).await?;
        let used = ms_per_job(&before, &site.cpu_seconds()?, done.jobs);
        rates.push(done.per_second() / bare.per_second);
        cpus.push(bare.cpu_ms / total(&used));
        writeln!(
            out,
            "  service {:.1} jobs/s, {:.2} ms CPU a job ({})",
            done.per_second(),
            total(&used),
            listed(&used)
        )?;
        writeln!(
            out,
            "  bare {:.1} jobs/s, {:.2} ms CPU a job ({})",
            bare.per_second,
            bare.cpu_ms,
            bare.stages()
        )?;
    }
    writeln!(
        out,
        "  bare over service in CPU time a job {:.2}, service over bare in jobs/s {:.2} (median of {rounds})",
        median(&mut cpus),
        median(&mut rates),
    )?;
    Ok(())
}
