//! `faceline-models evaluate liveness`: errors of passive liveness, and the findings about pictures.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use faceline_models::evaluation::{AttackErrors, Presentation, presentations};
use faceline_shared::job::examination::{Check, Examination, ExaminedPicture};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::Pipeline;

use crate::each::each;

#[derive(Debug, clap::Args)]
pub(crate) struct Liveness {
    /// Folders with `index.csv`, whose columns `path` and `label` have pictures and `live` or an attack's type; or folders of
    /// pictures of living people
    #[arg(required = true, value_name = "DIR")]
    datasets: Vec<PathBuf>,
    /// List the findings, each with its picture
    #[arg(long)]
    findings: bool,
}

/// How often a check failed, with attacks and with living people.
type Counts = BTreeMap<Check, [usize; 2]>;

impl Liveness {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let out = &mut std::io::stdout();
        for dataset in &self.datasets {
            let shown = presentations(dataset)?;
            let paths: Vec<&Path> = shown.iter().map(|presentation| presentation.path.as_path()).collect();
            let examined = each(config, &paths, "examining {pos} of {len} pictures", examine)?;
            let (mut errors, mut counts, mut without_one) = (AttackErrors::default(), Counts::new(), 0);
            for (Presentation { path, attack }, picture) in shown.iter().zip(&examined) {
                let only = if let [face] = picture.faces.as_slice() { Some(face) } else { None };
                without_one += usize::from(only.is_none());
                errors.add(attack.as_deref(), only.and_then(|face| face.liveness));
                for finding in &picture.findings {
                    counts.entry(finding.check).or_default()[usize::from(attack.is_none())] += 1;
                    if self.findings {
                        let (check, path) = (finding.check, path.display());
                        writeln!(out, "{check:?} {:.3} {path}", finding.score)?;
                    }
                }
            }
            print(out, dataset, &errors, &counts, without_one)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn examine(pipeline: &mut Pipeline, path: &Path) -> anyhow::Result<ExaminedPicture> {
    let live = vec![Bytes::from(std::fs::read(path)?)];
    let asked = Examination { live, photo: None, liveness: true, challenge: Vec::new() };
    let examined = pipeline.examine(&asked)?;
    examined.live.into_iter().next().map(|picture| picture.shown).context("nothing was examined")
}

fn print(
    out: &mut impl Write,
    dataset: &Path,
    errors: &AttackErrors,
    counts: &Counts,
    without_one: usize,
) -> std::io::Result<()> {
    let percent = |part: f64| format!("{:.1} %", part * 100.0);
    let AttackErrors { bona_fide, attacks } = errors;
    let all = bona_fide.presentations();
    writeln!(out, "\n{}: {all} bona fide presentations", dataset.display())?;
    for (name, attack) in attacks {
        writeln!(out, "{} presentations of attack `{name}`", attack.presentations())?;
    }
    writeln!(out, "{without_one} pictures without a face, or with several")?;
    writeln!(out, "\n     level      BPCER   APCER by type of attack")?;
    for level in [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High] {
        let threshold = level.threshold();
        let apcer =
            attacks.iter().map(|(name, attack)| format!("{name} {}", percent(attack.above(threshold))));
        let (level, apcer) = (format!("{level:?}"), apcer.collect::<Vec<_>>().join(", "));
        writeln!(out, "{level:>10} {:>10}   {apcer}", percent(bona_fide.up_to(threshold)))?;
    }
    let missing =
        attacks.iter().map(|(name, attack)| format!("{name} {}", percent(attack.non_response_rate())));
    let missing = missing.collect::<Vec<_>>().join(", ");
    writeln!(out, "not judged {:>10}   {missing}", percent(bona_fide.non_response_rate()))?;
    writeln!(out, "\nfound wrong   with living people   with attacks")?;
    for (check, [attacked, live]) in counts {
        let part = percent(*live as f64 / all.max(1) as f64);
        writeln!(out, "{:<18} {live:6} {part:>7} {attacked:14}", format!("{check:?}"))?;
    }
    Ok(())
}
