//! The whole service over the bare pipeline, measured in one run on one machine.

use std::io::Write as _;
use std::path::PathBuf;

use faceline_shared::config::Config;
use tempfile::TempDir;

use crate::site::Site;
use crate::{bare, load, picture};

/// Sizes that are measured: the small one shows what a job costs besides its work, the large one what bytes cost.
const SIZES: [Size; 2] = [
    Size { name: "250 x 250", width: 250, height: 250, jobs: 1500 },
    Size { name: "12 megapixels", width: 4000, height: 3000, jobs: 300 },
];

struct Size {
    name: &'static str,
    width: u32,
    height: u32,
    jobs: usize,
}

/// Arguments of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Portrait that the pictures are made of; one of the installed ones where nothing is said
    #[arg(long, value_name = "FILE")]
    portrait: Option<PathBuf>,
    /// Callers at the same time
    #[arg(long, default_value_t = 12)]
    callers: usize,
    /// Rounds; service and bare pipeline take turns, and the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let portrait =
            self.portrait.unwrap_or_else(|| Config::default().models.dir.join("pictures").join("obama.jpg"));
        let folder = TempDir::new()?;
        let site = Site::start().await?;
        let mut out = std::io::stdout();
        for size in SIZES {
            let bytes = picture::portrait(&portrait, size.width, size.height)?;
            let file = folder.path().join("picture.jpg");
            std::fs::write(&file, &bytes)?;
            writeln!(out, "{}, {} kB:", size.name, bytes.len() / 1000)?;
            load::faces(&site.url, &bytes, self.callers, size.jobs / 10).await?;

            let (mut rates, mut cpus) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                let bare = bare::run(&file, size.jobs / 2).await?;
                let before = site.cpu_seconds()?;
                let done = load::faces(&site.url, &bytes, self.callers, size.jobs).await?;
                let cpu_ms = (site.cpu_seconds()? - before) * 1000.0 / done.jobs as f64;
                rates.push(done.per_second() / bare.per_second);
                cpus.push(bare.cpu_ms / cpu_ms);
                let stages: Vec<_> =
                    bare.stages_ms.iter().map(|(stage, ms)| format!("{stage} {ms:.2}")).collect();
                writeln!(
                    out,
                    "  service {:.1} jobs/s, {cpu_ms:.2} ms CPU a job; bare {:.1} jobs/s, {:.2} ms CPU a job ({} ms)",
                    done.per_second(),
                    bare.per_second,
                    bare.cpu_ms,
                    stages.join(", ")
                )?;
            }
            writeln!(
                out,
                "  service over bare: {:.2} in jobs/s, {:.2} in CPU time a job (median of {})",
                median(&mut rates),
                median(&mut cpus),
                self.rounds
            )?;
        }
        Ok(())
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }
}
