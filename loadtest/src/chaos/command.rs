//! `faceline-loadtest chaos`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::fault::FaultKind;
use super::run::{Chaos, run};
use super::site::Builds;
use crate::load::{MixEntry, Phase, Scenario};
use crate::oracle::{Operation, PictureSize};

/// The mix of operations: each kind of work, with pictures within messages and pictures in the blob store.
const MIX: [(Operation, PictureSize, f64); 9] = [
    (Operation::Faces, PictureSize::Small, 3.0),
    (Operation::Faces, PictureSize::Medium, 1.0),
    (Operation::MatchImages, PictureSize::Small, 2.0),
    (Operation::Match, PictureSize::Small, 1.0),
    (Operation::FaceLiveness, PictureSize::Small, 1.0),
    (Operation::LivenessDetection, PictureSize::Small, 1.0),
    (Operation::PhotoVerify, PictureSize::Small, 1.0),
    (Operation::CreateSession, PictureSize::Small, 2.0),
    (Operation::Replay, PictureSize::Small, 1.0),
];

/// Inject faults into an installation under load, and check the outcome of every request
#[derive(Clone, Debug, clap::Args)]
pub struct ChaosCommand {
    /// Length of load and faults, in seconds, without the start and the quiet time at the end
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Seed of faults and load
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Requests per second
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
    /// Run only the kinds of faults whose names contain this text; repeatable [default: all kinds]
    #[arg(long)]
    only: Vec<String>,
    /// Folder with the programs [default: the folder of this program]
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Folder with the programs of the previous release. The installation starts with them, and rolling upgrades
    /// replace them
    #[arg(long)]
    previous: Option<PathBuf>,
    /// Folder for the report (report.json) and the logs of the programs
    #[arg(long, default_value = "target/chaos")]
    report: PathBuf,
    /// Fail if a fault is skipped because this machine lacks the means for it
    #[arg(long)]
    strict: bool,
    /// Print the schedule and exit
    #[arg(long)]
    list: bool,
}

impl ChaosCommand {
    /// Executes the command.
    ///
    /// # Errors
    /// [`run`] fails, or the report cannot be written. After the report is written: it is not good, or `--strict`
    /// is given and a fault was skipped.
    pub async fn run(self) -> anyhow::Result<()> {
        let chaos = self.chaos()?;
        let mut output = std::io::stdout();
        let schedule = chaos.schedule();
        writeln!(
            output,
            "seed {}, {:.0} s, {} faults:",
            schedule.seed,
            schedule.length.as_secs_f64(),
            schedule.faults.len()
        )?;
        for fault in &schedule.faults {
            writeln!(output, "{fault}")?;
        }
        if self.list {
            return Ok(());
        }
        let report = run(&chaos, |line| drop(writeln!(std::io::stdout(), "{line}"))).await?;
        let file = self.report.join("report.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&report)?)?;
        writeln!(output, "{report}\n{}", file.display())?;
        anyhow::ensure!(report.is_good(), "the run found faults of the service, or did not go as planned");
        let skipped = report.skipped();
        anyhow::ensure!(skipped == 0 || !self.strict, "faults that this machine has no means for: {skipped}");
        Ok(())
    }

    fn chaos(&self) -> anyhow::Result<Chaos> {
        let kinds: Vec<_> = FaultKind::ALL
            .into_iter()
            .filter(|kind| {
                self.only.is_empty() || self.only.iter().any(|part| kind.name().contains(part.as_str()))
            })
            .collect();
        anyhow::ensure!(!kinds.is_empty(), "no kind of fault has such a name");
        let own = std::env::current_exe()?;
        let current = match &self.programs {
            Some(folder) => folder.clone(),
            None => own.parent().context("a program without a folder")?.to_owned(),
        };
        let scenario = scenario(self.seed, self.rate, self.seconds as f64);
        let builds = Builds { current, previous: self.previous.clone() };
        Ok(Chaos { scenario, kinds, builds, logs: self.report.clone() })
    }
}

/// The load during faults: callers that arrive independently of each other, and retry after `Retry-After`.
#[must_use]
pub fn scenario(seed: u64, rate: f64, seconds: f64) -> Scenario {
    let mix = MIX.map(|(operation, size, weight)| MixEntry { operation, size, weight });
    Scenario {
        seed,
        mix: mix.to_vec(),
        obeys_retry_after: true,
        give_up_seconds: 60,
        ..Scenario::faces("chaos", vec![Phase::Poisson { rate, seconds }])
    }
}
