//! `faceline-models evaluate`: accuracy on labelled pictures.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use faceline_models::Repository;
use faceline_models::calibration::{Calibration, PICTURES_A_PERSON};
use faceline_models::evaluation::{Coded, Fold, Interval};
use faceline_shared::settings::Settings;

use crate::age::Age;
use crate::coder;
use crate::faces::Faces;
use crate::figures::{DISCARD_FMR, DISCARDED_BY_MEASURE, Figures, Observed, PAIRS_A_PERSON};
use crate::group_figures::{GroupFigures, GroupFile};
use crate::liveness::Liveness;
use crate::report;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Evaluate {
    /// Error rates of face comparison (ISO/IEC 19795-1)
    Verification(Verification),
    /// Errors of estimated ages, by age band
    Age(Age),
    /// Errors of passive liveness (ISO/IEC 30107-3), and the findings about pictures
    Liveness(Liveness),
    /// Share of pictures refused because of a second face, by the size ratio from which a second face counts
    Faces(Faces),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verification {
    /// Folder with one subfolder of pictures for each person
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Use only part K of N of the people, such as the part that the table was not calibrated on
    #[arg(long, value_name = "K/N")]
    fold: Option<Fold>,
    /// Calibration table to check instead of the installed model's
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    group_file: GroupFile,
    /// Width of a black border around each picture, in pixels, for data sets that are cropped close to the face
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pad: u32,
    /// Write report.html, report.json and plots of the curves (SVG) to a folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Evaluate {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verification(verification) => verification.run(config),
            Self::Age(age) => age.run(config),
            Self::Liveness(liveness) => liveness.run(config),
            Self::Faces(faces) => faces.run(config),
        }
    }
}

impl Verification {
    fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let table = table(config, self.calibration.as_deref())?;
        let coded = coder::code(config, &self.dataset, self.fold, self.pad)?;
        let groupings = self.group_file.groupings(&self.dataset, &coded.people)?;
        let groups = GroupFigures::of(&coded, &groupings, &table);
        let Some(figures) = Figures::of(&coded, &table) else {
            // Data sets with impostor pairs only can still show the false matches of groups.
            ensure!(
                !groupings.is_empty() && self.report.is_none(),
                "{}: there are no genuine pairs, since nobody has two pictures with a face",
                self.dataset.display()
            );
            let (faces, people) = (coded.labelled.identities().len(), coded.people_with_a_face());
            writeln!(std::io::stdout(), "{people} people, {faces} faces, no genuine pairs")?;
            groups.print(&mut std::io::stdout())?;
            return Ok(ExitCode::SUCCESS);
        };
        print(&mut std::io::stdout(), &coded, &figures)?;
        groups.print(&mut std::io::stdout())?;
        if let Some(folder) = &self.report {
            report::write(folder, &figures, &groups)
                .with_context(|| format!("cannot write the report to {}", folder.display()))?;
            writeln!(std::io::stdout(), "report in {}", folder.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The calibration table in a file, or that of the installed embedding.
fn table(config: &Settings, file: Option<&Path>) -> anyhow::Result<Calibration> {
    if let Some(file) = file {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Calibration::parse(&text).with_context(|| file.display().to_string());
    }
    Ok(Repository::open(&config.models.dir)?.manifest().calibration()?)
}

fn print(out: &mut impl Write, coded: &Coded, figures: &Figures) -> std::io::Result<()> {
    writeln!(
        out,
        "{} people, {} faces, {} pictures without a face, {} genuine pairs, {} impostor pairs",
        figures.people,
        figures.faces,
        figures.without_face,
        figures.comparison.genuine().len(),
        figures.comparison.impostors().count()
    )?;
    for path in &coded.without_face {
        writeln!(out, "no face: {}", path.display())?;
    }
    print_rates(out, figures)?;
    print_claims(out, figures)?;
    print_discard(out, figures)
}

fn print_rates(out: &mut impl Write, figures: &Figures) -> std::io::Result<()> {
    writeln!(out, "\nfalse non-matches (95 % intervals over people)")?;
    let capped = format!("at most {PAIRS_A_PERSON} a person");
    writeln!(out, "     FMR   {:>25}   {capped:>25}   similarity", "all pairs")?;
    for rate in &figures.rates {
        let [all, capped] =
            rate.fnmr.map(|(fnmr, ends)| format!("{:.2} %{}", fnmr * 100.0, within(ends, 100.0)));
        writeln!(out, "{:8.0e}   {all:>25}   {capped:>25}   {:10.3}", rate.fmr, rate.similarity)?;
    }
    if figures.rates.len() < 4 {
        writeln!(out, "for lower rates there are too few impostor pairs")?;
    }
    match figures.accuracy {
        Some(accuracy) => writeln!(
            out,
            "accuracy over {} balanced pairs in ten folds: {:.2} % +- {:.2}",
            accuracy.pairs,
            accuracy.mean * 100.0,
            accuracy.standard_error * 100.0
        ),
        None => writeln!(out, "for the accuracy in ten folds there are too few people"),
    }
}

fn print_claims(out: &mut impl Write, figures: &Figures) -> std::io::Result<()> {
    writeln!(out, "\nfalse acceptances: how many times the claimed rate was observed")?;
    let few = format!("at most {PICTURES_A_PERSON} pictures a person");
    writeln!(out, "score    claimed   {:>26}   {few:>32}", "all pictures")?;
    for claim in &figures.claims {
        let [all, few] = claim.observed.each_ref().map(|observed| times(observed, claim.claimed));
        writeln!(out, "{:5}   {:8.0e}   {all:>26}   {few:>32}", claim.score, claim.claimed)?;
    }
    Ok(())
}

fn print_discard(out: &mut impl Write, figures: &Figures) -> std::io::Result<()> {
    writeln!(out, "\nfalse non-matches at FMR {DISCARD_FMR:.0e} after the worst by quality are discarded")?;
    writeln!(out, "discarded     of pairs        of pictures")?;
    let Some(first) = figures.discard.first() else { return Ok(()) };
    for percent in [0, 5, 10, 20] {
        let point = &figures.discard[percent];
        writeln!(
            out,
            "{percent:7} %   {}   {}",
            left(point.by_pairs, first.by_pairs),
            left(point.by_pictures, first.by_pictures)
        )?;
    }
    for measure in &figures.measures {
        let [low, high, extreme] = measure.fnmr.map(|fnmr| left(fnmr, first.by_pairs));
        let percent = DISCARDED_BY_MEASURE * 100.0;
        writeln!(out, "{percent} % of pairs by {}: low {low}, high {high}, extreme {extreme}", measure.name)?;
    }
    Ok(())
}

/// Text with the remaining rate and its relative change.
fn left(rate: f64, before: f64) -> String {
    let change = if before > 0.0 { (rate / before - 1.0) * 100.0 } else { 0.0 };
    format!("{:.2} % ({change:+4.0} %)", rate * 100.0)
}

fn times(observed: &Observed, claimed: f64) -> String {
    match observed.interval {
        Some(ends) => format!("{:.2}{}", observed.far / claimed, within(Some(ends), 1.0 / claimed)),
        None => "none observed".to_owned(),
    }
}

fn within(interval: Option<Interval>, unit: f64) -> String {
    interval.map_or(String::new(), |ends| format!(" ({:.2} to {:.2})", ends.low * unit, ends.high * unit))
}
