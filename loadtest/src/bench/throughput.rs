//! The whole service over the bare pipeline.

use std::io::Write as _;

use super::targets::{Figure, TargetCheck};
use super::{Sample, measure, median};
use crate::bare;
use crate::site::{Setup, Site, listed, total};

/// Gateway and worker over RabbitMQ and Redis, and everything in one process.
pub(super) async fn run(
    samples: &[&Sample],
    callers: usize,
    rounds: usize,
    targets: &mut TargetCheck,
) -> anyhow::Result<()> {
    for (setup, name) in [(Setup::Distributed, "RabbitMQ and Redis"), (Setup::Standalone, "standalone")] {
        let site = Site::start(setup).await?;
        for sample in samples {
            let ratio = one(&site, name, sample, callers, rounds).await?;
            let verdict = targets.judge(Figure::BareOverService, sample.name, name, ratio);
            writeln!(
                std::io::stdout(),
                "  bare over service in CPU time a job {ratio:.2} (median of {rounds}){verdict}"
            )?;
        }
    }
    Ok(())
}

/// Returns the CPU time of the bare pipeline over that of the service, as the median of all rounds.
async fn one(site: &Site, name: &str, sample: &Sample, callers: usize, rounds: usize) -> anyhow::Result<f64> {
    let mut out = std::io::stdout();
    writeln!(out, "service ({name}) and bare pipeline, {}, {} kB:", sample.name, sample.bytes.len() / 1000)?;
    let request = sample.warm_up(&site.url, callers).await?;

    let (mut rates, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = bare::run(&sample.file, sample.jobs / 2, None).await?;
        let (done, used) = measure(site, &request, callers, sample.jobs).await?;
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
    writeln!(out, "  service over bare in jobs/s {:.2} (median of {rounds})", median(&mut rates))?;
    Ok(median(&mut cpus))
}
