//! `faceline-models evaluate liveness`: errors of passive liveness (ISO/IEC 30107-3), and the findings about pictures.

mod clips;
mod leave_one_out;
mod levels;
mod measured;
mod rates;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use faceline_models::evaluation::{Aim, AttackErrors, Medium};
use faceline_models::liveness::LivenessCalibration;
use faceline_shared::job::examination::Check;
use faceline_shared::settings::Settings;

use self::leave_one_out::leave_one_out;
use self::levels::LEVELS;
use self::measured::map_of;
pub(crate) use self::measured::{Measured, write_scores};
use self::rates::{non_response, percent, rate_of};
use crate::{coder, report};

/// APCERs at which the BPCER is reported (BPCER10, BPCER20, BPCER100).
const FIXED_APCERS: [f64; 3] = [0.1, 0.05, 0.01];

#[derive(Debug, clap::Args)]
pub(crate) struct Liveness {
    /// Folders with index.csv, whose column `path` names a picture, a video or a folder of frames, and whose column
    /// `label` is `live` or the attack species; the columns `subject` and `source` are optional. A folder without
    /// index.csv contains pictures and videos of living people. Labels that begin with `deepfake` or `injected` mark
    /// digital manipulations that were not presented to a camera; they are reported separately
    #[arg(required = true, value_name = "DIR")]
    datasets: Vec<PathBuf>,
    /// List each finding with its picture
    #[arg(long)]
    findings: bool,
    /// For each source, fit the calibration on all other sources and report the errors on this one
    #[arg(long)]
    leave_one_out: bool,
    /// With --leave-one-out: also choose the lowest threshold at which the APCER of the worst species, averaged over
    /// the other sources, is at most this share; above 0 and below 1
    #[arg(long, value_name = "SHARE", requires = "leave_one_out", value_parser = share)]
    aim_apcer: Option<f64>,
    /// With --leave-one-out: also choose the highest threshold at which the BPCER, averaged over the other sources,
    /// is at most this share; above 0 and below 1
    #[arg(long, value_name = "SHARE", requires = "leave_one_out", value_parser = share)]
    aim_bpcer: Option<f64>,
    /// Write the measurements of all pictures and clips to a CSV file
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write the DET curves (SVG) and all figures (JSON) to a folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Number of failures of each check, for attacks and for living people.
type Counts = BTreeMap<Check, [usize; 2]>;

impl Liveness {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let out = &mut std::io::stdout();
        let calibration = coder::models(config)?.liveness_calibration().clone();
        writeln!(out, "calibration {}, profile {:?}", calibration.name, calibration.profile)?;
        let measured = Measured::of(config, &self.datasets)?;
        if let Some(file) = &self.scores {
            write_scores(file, &measured, &calibration)?;
        }
        let mut reported = Vec::new();
        for ((source, part), presentations) in parts(&measured) {
            let errors = errors_of(&presentations, &calibration);
            let title = format!("{source}, {}", part.name());
            print(out, &title, &errors, &presentations)?;
            reported.push((title, errors));
        }
        if self.findings {
            for one in &measured {
                for (check, score) in &one.findings {
                    writeln!(out, "{check:?} {score:.3} {}", one.presentation.path.display())?;
                }
            }
        }
        if let Some(folder) = &self.report {
            report::write_liveness(folder, &reported)
                .with_context(|| format!("cannot write the report to {}", folder.display()))?;
            writeln!(out, "report in {}", folder.display())?;
        }
        if self.leave_one_out {
            self.leave_out(out, &measured, &calibration)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Runs the leave-one-out evaluation for pictures and for clips, each if it has several sources.
    fn leave_out(
        &self,
        out: &mut impl Write,
        measured: &[Measured],
        calibration: &LivenessCalibration,
    ) -> anyhow::Result<()> {
        let aims: Vec<Aim> =
            self.aim_apcer.map(Aim::Apcer).into_iter().chain(self.aim_bpcer.map(Aim::Bpcer)).collect();
        let mut is_done = false;
        for (what, medium) in
            [("pictures", Medium::Picture), ("clips, passive liveness alone", Medium::Video)]
        {
            let of_medium: Vec<&Measured> =
                measured.iter().filter(|one| one.presentation.medium.is_clip() == medium.is_clip()).collect();
            let left_out = leave_one_out(&of_medium, &aims);
            if !left_out.is_empty() {
                leave_one_out::print(out, what, &left_out, map_of(calibration, medium), &aims)?;
                is_done = true;
            }
        }
        ensure!(
            is_done,
            "two sources of pictures with full frames, or of clips, are needed to leave one out"
        );
        Ok(())
    }
}

/// Parses an error rate of the command line.
fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("a share is a number above 0 and below 1".into()),
    }
}

/// A part of the presentations that has a report of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    FullFrames,
    TooTight,
    Videos,
    Frames,
}

impl Part {
    fn of(one: &Measured) -> Self {
        match one.presentation.medium {
            Medium::Picture if one.is_tight => Self::TooTight,
            Medium::Picture => Self::FullFrames,
            Medium::Video => Self::Videos,
            Medium::Frames => Self::Frames,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FullFrames => "full frames",
            Self::TooTight => "too tight",
            Self::Videos => "videos",
            Self::Frames => "clips as frames, passive liveness alone",
        }
    }
}

fn parts(measured: &[Measured]) -> BTreeMap<(&str, Part), Vec<&Measured>> {
    let mut parts: BTreeMap<(&str, Part), Vec<&Measured>> = BTreeMap::new();
    for one in measured {
        parts.entry((&one.presentation.source, Part::of(one))).or_default().push(one);
    }
    parts
}

fn errors_of(measured: &[&Measured], calibration: &LivenessCalibration) -> AttackErrors {
    let mut errors = AttackErrors::default();
    for one in measured {
        let presentation = &one.presentation;
        errors.add(presentation.attack.as_deref(), &presentation.subject, one.score(calibration));
    }
    errors
}

fn print(
    out: &mut impl Write,
    title: &str,
    errors: &AttackErrors,
    measured: &[&Measured],
) -> std::io::Result<()> {
    let AttackErrors { bona_fide, attacks, injected } = errors;
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
            .map(|(name, attack)| format!("{name} {}", rate_of(attack, |score| score > threshold)));
        let bpcer = rate_of(bona_fide, |score| score <= threshold);
        writeln!(out, "{name:>10} {bpcer:>24}   {}", or_none(&apcer.collect::<Vec<_>>()))?;
    }
    let missing = attacks.iter().map(|(name, attack)| format!("{name} {}", non_response(attack)));
    writeln!(out, "not judged {:>24}   {}", non_response(bona_fide), or_none(&missing.collect::<Vec<_>>()))?;
    let det = errors.det();
    if let Some(eer) = AttackErrors::equal_error_rate(&det) {
        let eer = percent(eer, errors.equal_error_interval());
        write!(out, "equal error rate against the worst species {eer}; BPCER")?;
        for apcer in FIXED_APCERS {
            let bpcer = AttackErrors::bpcer_at(&det, apcer).unwrap_or(1.0);
            write!(out, " {:.1} % at APCER {} %,", bpcer * 100.0, apcer * 100.0)?;
        }
        writeln!(out)?;
    }
    for (name, fakes) in injected {
        let taken = LEVELS
            .map(|(level, at)| format!("{} at {level}", rate_of(fakes, |score| score > at.threshold())));
        writeln!(
            out,
            "injected, no presentation attack: {} of `{name}`, taken for bona fide: {}; not judged {}",
            fakes.presentations(),
            taken.join(", "),
            non_response(fakes)
        )?;
    }
    print_findings(out, measured)
}

/// The figures of all species in one line.
fn or_none(of_species: &[String]) -> String {
    if of_species.is_empty() { "no presentations".to_owned() } else { of_species.join(", ") }
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
