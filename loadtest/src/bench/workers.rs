//! Throughput with one worker process and with two. Each runs models on one thread, so two of them use two cores.

use std::io::Write as _;

use super::{Sample, measure, median};
use crate::site::{Setup, Site, SiteSize, listed, total};

/// Worker processes of the two services that are compared.
const WORKERS: [usize; 2] = [1, 2];

pub(super) async fn run(sample: &Sample, callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "one worker and two, each with one thread for models, {}:", sample.name)?;
    let mut services = Vec::new();
    for workers in WORKERS {
        let site = Site::start_sized(Setup::Distributed, SiteSize { workers, sessions: Some(1) }).await?;
        let request = sample.warm_up(&site.url, callers).await?;
        services.push((workers, site, request));
    }
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let mut rates = Vec::new();
        for (workers, site, request) in &services {
            let (done, used) = measure(site, request, callers, sample.jobs).await?;
            writeln!(
                out,
                "  workers: {workers}, {:.1} jobs/s, {:.2} ms CPU a job ({})",
                done.per_second(),
                total(&used),
                listed(&used)
            )?;
            rates.push(done.per_second());
        }
        ratios.extend(rates.windows(2).map(|pair| pair[1] / pair[0]));
    }
    writeln!(out, "  two workers over one in jobs/s {:.2} (median of {rounds})", median(&mut ratios))?;
    Ok(())
}
