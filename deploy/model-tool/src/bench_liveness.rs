//! `faceline-models bench-liveness`: the cost of an examination of live pictures, without network, broker and gateway.

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use faceline_shared::job::Examination;
use faceline_shared::settings::Settings;
use serde_json::json;

use crate::bench::{cpu_time, warm};
use crate::coder;

#[derive(Debug, clap::Args)]
pub(crate) struct BenchLiveness {
    /// Live picture; repeat the flag for a second one
    #[arg(long = "picture", required = true, value_name = "FILE")]
    pictures: Vec<PathBuf>,
    /// Number of repetitions
    #[arg(long, default_value_t = 100)]
    count: u32,
}

impl BenchLiveness {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let read = |path: &PathBuf| std::fs::read(path).map(Bytes::from);
        let live = self.pictures.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let asked = Examination { live, photo: None, liveness: true, challenge: Vec::new() };
        let mut pipeline = warm(&coder::models(config)?, config)?;
        // The first run is not measured: it loads the model and allocates memory that later runs reuse.
        let examined = pipeline.examine(&asked)?;
        let is_judged = examined.live.iter().all(|picture| picture.shown.rejection().is_none());
        anyhow::ensure!(is_judged, "a picture is not judged: {examined:?}");
        let before = cpu_time()?;
        for _ in 0..self.count {
            black_box(pipeline.examine(&asked)?);
        }
        let cpu_ms = (cpu_time()? - before) * 1000.0 / f64::from(self.count);
        writeln!(std::io::stdout(), "{}", json!({ "cpu_ms": cpu_ms }))?;
        Ok(ExitCode::SUCCESS)
    }
}
