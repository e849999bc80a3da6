//! The whole service over the bare pipeline.

use std::io::Write as _;

use super::{Sample, median};
use crate::bare;
use crate::load::{self, Request};
use crate::site::Site;

pub(super) async fn run(samples: &[&Sample], callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(&[]).await?;
    for sample in samples {
        writeln!(out, "service over bare pipeline, {}, {} kB:", sample.name, sample.bytes.len() / 1000)?;
        let request = Request::new(&site.url, &sample.bytes)?;
        load::closed(&request, callers, sample.jobs / 5).await?;

        let (mut rates, mut cpus) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let bare = bare::run(&sample.file, sample.jobs / 2).await?;
            let before = site.cpu()?;
            let done = load::closed(&request, callers, sample.jobs).await?;
            let cpu = site.cpu()?.per_job_since(&before, done.jobs);
            rates.push(done.per_second() / bare.per_second);
            cpus.push(bare.cpu_ms / (cpu.all() * 1e3));
            writeln!(
                out,
                "  service {:.1} jobs/s, {:.2} ms CPU a job (worker {:.2}, gateway {:.2}, RabbitMQ {:.2}, Redis {:.2})",
                done.per_second(),
                cpu.all() * 1e3,
                cpu.worker * 1e3,
                cpu.gateway * 1e3,
                cpu.broker * 1e3,
                cpu.store * 1e3,
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
            "  bare over service: {:.2} in CPU time a job; service over bare: {:.2} in jobs/s (median of {rounds})",
            median(&mut cpus),
            median(&mut rates),
        )?;
    }
    Ok(())
}
