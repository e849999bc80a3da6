//! `faceline-models evaluate liveness`: errors of passive liveness (ISO/IEC 30107-3), and the findings about pictures.

mod leave_one_out;
mod levels;
mod measured;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use faceline_models::evaluation::{AttackErrors, ErrorRate};
use faceline_models::liveness::ScoreMap;
use faceline_shared::job::examination::Check;
use faceline_shared::settings::Settings;

use self::leave_one_out::leave_one_out;
use self::levels::LEVELS;
pub(crate) use self::measured::{Measured, write_scores};
use crate::{coder, report};

/// APCERs at which the BPCER is reported (BPCER10, BPCER20, BPCER100).
const FIXED_APCERS: [f64; 3] = [0.1, 0.05, 0.01];

#[derive(Debug, clap::Args)]
pub(crate) struct Liveness {
    /// Folders with `index.csv`, whose columns `path` and `label` have pictures and `live` or the species of an attack, and optionally
    /// `subject` and `source`; or folders of pictures of living people
    #[arg(required = true, value_name = "DIR")]
    datasets: Vec<PathBuf>,
    /// List the findings, each with its picture
    #[arg(long)]
    findings: bool,
    /// Fit the calibration on all sources but one, and report the errors on that one, for each source
    #[arg(long)]
    leave_one_out: bool,
    /// Write the measurement of every picture into a CSV file
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write the DET curves (SVG) and all figures (JSON) into a folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// How often a check failed, with attacks and with living people.
type Counts = BTreeMap<Check, [usize; 2]>;

impl Liveness {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let out = &mut std::io::stdout();
        let calibration = coder::models(config)?.liveness_calibration().clone();
        writeln!(out, "calibration {}, profile {:?}", calibration.name, calibration.profile)?;
        let measured = Measured::of(config, &self.datasets)?;
        if let Some(file) = &self.scores {
            write_scores(file, &measured, &calibration.still)?;
        }
        let mut reported = Vec::new();
        for (source, of_source) in by_source(&measured) {
            for (kind, is_tight) in [("full frames", false), ("too tight", true)] {
                let part: Vec<&Measured> =
                    of_source.iter().copied().filter(|one| one.is_tight == is_tight).collect();
                if part.is_empty() {
                    continue;
                }
                let errors = errors_of(&part, &calibration.still);
                print(out, &format!("{source}, {kind}"), &errors, &part)?;
                reported.push((format!("{source}, {kind}"), errors));
            }
        }
        if self.findings {
            for one in &measured {
                for (check, score) in &one.findings {
                    writeln!(out, "{check:?} {score:.3} {}", one.presentation.path.display())?;
                }
            }
        }
        if self.leave_one_out {
            let left_out = leave_one_out(&measured, &calibration.still);
            ensure!(!left_out.is_empty(), "two sources with full frames are needed to leave one out");
            leave_one_out::print(out, &left_out)?;
        }
        if let Some(folder) = &self.report {
            report::write_liveness(folder, &reported)
                .with_context(|| format!("cannot write the report to {}", folder.display()))?;
            writeln!(out, "report in {}", folder.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn by_source(measured: &[Measured]) -> BTreeMap<&str, Vec<&Measured>> {
    let mut sources: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in measured {
        sources.entry(&one.presentation.source).or_default().push(one);
    }
    sources
}

fn errors_of(measured: &[&Measured], map: &ScoreMap) -> AttackErrors {
    let mut errors = AttackErrors::default();
    for one in measured {
        let presentation = &one.presentation;
        let score = one.mean().map(|mean| map.score(mean));
        errors.add(presentation.attack.as_deref(), &presentation.subject, score);
    }
    errors
}

fn print(
    out: &mut impl Write,
    title: &str,
    errors: &AttackErrors,
    measured: &[&Measured],
) -> std::io::Result<()> {
    let AttackErrors { bona_fide, attacks } = errors;
    writeln!(
        out,
        "\n{title}: {} bona fide presentations of {} subjects",
        bona_fide.presentations(),
        bona_fide.subjects()
    )?;
    for (name, attack) in attacks {
        writeln!(
            out,
            "{} presentations of `{name}`, {} subjects",
            attack.presentations(),
            attack.subjects()
        )?;
    }
    writeln!(out, "     level                    BPCER   APCER by species (95 % intervals over subjects)")?;
    for (name, level) in LEVELS {
        let threshold = level.threshold();
        let apcer = attacks
            .iter()
            .map(|(name, attack)| format!("{name} {}", percent(attack.rate(|score| score > threshold))));
        let bpcer = percent(bona_fide.rate(|score| score <= threshold));
        writeln!(out, "{name:>10} {bpcer:>24}   {}", apcer.collect::<Vec<_>>().join(", "))?;
    }
    let missing =
        attacks.iter().map(|(name, attack)| format!("{name} {:.1} %", attack.non_response_rate() * 100.0));
    let missing = missing.collect::<Vec<_>>().join(", ");
    writeln!(out, "not judged {:>22.1} %   {missing}", bona_fide.non_response_rate() * 100.0)?;
    let det = errors.det();
    if let Some(eer) = AttackErrors::equal_error_rate(&det) {
        write!(out, "equal error rate against the worst species {:.1} %; BPCER", eer * 100.0)?;
        for apcer in FIXED_APCERS {
            let bpcer = AttackErrors::bpcer_at(&det, apcer).unwrap_or(1.0);
            write!(out, " {:.1} % at APCER {} %,", bpcer * 100.0, apcer * 100.0)?;
        }
        writeln!(out)?;
    }
    print_findings(out, measured)
}

fn print_findings(out: &mut impl Write, measured: &[&Measured]) -> std::io::Result<()> {
    let mut counts = Counts::new();
    for one in measured {
        for (check, _) in &one.findings {
            counts.entry(*check).or_default()[usize::from(one.presentation.attack.is_none())] += 1;
        }
    }
    if !counts.is_empty() {
        writeln!(out, "found wrong            living   attacks")?;
    }
    for (check, [attacked, live]) in counts {
        writeln!(out, "{:<18} {live:10} {attacked:9}", format!("{check:?}"))?;
    }
    Ok(())
}

/// A rate in percent with its interval.
fn percent(rate: ErrorRate) -> String {
    let bounds = rate
        .interval
        .map_or(String::new(), |ends| format!(" ({:.1} to {:.1})", ends.low * 100.0, ends.high * 100.0));
    format!("{:.1} %{bounds}", rate.share * 100.0)
}
