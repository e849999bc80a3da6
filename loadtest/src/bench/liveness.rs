//! Liveness detection on one picture and on two: the whole service over the bare pipeline.

use std::io::Write as _;

use super::{Sample, measure, median};
use crate::bare;
use crate::closed_loop::{self, Request};
use crate::site::{Setup, Site, listed, total};

/// The second picture differs from the first, as those of callers do: the service detects two equal pictures before any
/// work.
pub(super) async fn run([first, second]: [&Sample; 2], callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for (setup, name) in [(Setup::Distributed, "RabbitMQ and Redis"), (Setup::Standalone, "standalone")] {
        let site = Site::start(setup).await?;
        for samples in [&[first][..], &[first, second]] {
            let (pictures, jobs) = (samples.len(), first.jobs / 3);
            let files: Vec<_> = samples.iter().map(|sample| sample.file.as_path()).collect();
            let bodies: Vec<_> = samples.iter().map(|sample| &sample.bytes).collect();
            let request = Request::liveness(&site.url, &bodies)?;
            closed_loop::closed(&request, callers, jobs / 5).await?;
            let mut ratios = Vec::new();
            for _ in 0..rounds {
                let bare = bare::examine(&files, jobs / 2).await?;
                let (done, used) = measure(&site, &request, callers, jobs).await?;
                ratios.push(bare / total(&used));
                writeln!(
                    out,
                    "  liveness of {pictures} ({name}), {}: {:.1} jobs/s, {:.2} ms CPU a job ({}), bare pipeline {bare:.2}",
                    first.name,
                    done.per_second(),
                    total(&used),
                    listed(&used)
                )?;
            }
            let ratio = median(&mut ratios);
            writeln!(
                out,
                "  liveness of {pictures} ({name}): bare over service in CPU time a job {ratio:.2} (median of {rounds})"
            )?;
        }
    }
    Ok(())
}
