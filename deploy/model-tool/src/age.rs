//! `faceline-models evaluate age`: errors of estimated ages.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use faceline_models::evaluation::{
    AgeErrors, AgePair, CHALLENGE_LIMITS, CHALLENGE_MARGINS, Fold, MIDDLE_AGES, challenge,
};
use faceline_models::manifest::AgeCorrection;
use faceline_shared::settings::Settings;

use crate::age_figures::{AgeFigures, name};
use crate::age_source::{AgeSource, AgedFaces, leave_one_out};
use crate::report;

#[derive(Debug, clap::Args)]
pub(crate) struct Age {
    /// Folder with index.csv, whose columns `path` and `age` give each picture and the age of the person in it; the
    /// optional column `person` identifies the person. A suffix `:pad=PIXELS` overrides --pad. Repeatable
    #[arg(long = "dataset", value_name = "DIR[:pad=PIXELS]", required = true)]
    sources: Vec<AgeSource>,
    /// Use only part K of N of the pictures, such as the part that no correction was fitted to
    #[arg(long, value_name = "K/N")]
    fold: Option<Fold>,
    /// Width of a black border around each picture, in pixels, for data sets that are cropped close to the face
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pad: u32,
    /// Correct the ages of each data set by a curve fitted to all others, and print the curve fitted to all, for the
    /// manifest. Needs at least two data sets
    #[arg(long)]
    leave_one_out: bool,
    /// Write all estimates to a CSV file. Needs exactly one data set
    #[arg(long, value_name = "FILE")]
    estimates: Option<PathBuf>,
    /// Write report.html, report.json and plots of the errors (SVG) to a folder. Needs exactly one data set
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Age {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let several = self.sources.len() > 1;
        anyhow::ensure!(!self.leave_one_out || several, "--leave-one-out needs two data sets or more");
        anyhow::ensure!(
            !several || (self.estimates.is_none() && self.report.is_none()),
            "--estimates and --report take one data set"
        );
        let look = |source: &AgeSource| source.estimate(config, self.fold, self.pad);
        let mut found = self.sources.iter().map(look).collect::<anyhow::Result<Vec<_>>>()?;
        let fitted = self.leave_one_out.then(|| leave_one_out(&mut found));
        let out = &mut std::io::stdout();
        for (source, found) in self.sources.iter().zip(&found) {
            if several {
                writeln!(out, "{}:", source.folder.display())?;
            }
            self.show(out, source, found)?;
        }
        if let Some(AgeCorrection(points)) = fitted {
            writeln!(out, "fitted to all data sets, for the manifest:\nage_correction = {points:?}")?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, out: &mut impl Write, source: &AgeSource, found: &AgedFaces) -> anyhow::Result<()> {
        if let Some(file) = &self.estimates {
            found.write(file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let faces: Vec<_> = found.faces.iter().map(|face| (face.pair, face.quality < 0)).collect();
        let figures = AgeFigures::of(&faces, found.without_face.len())
            .with_context(|| format!("{}: no face was found", source.folder.display()))?;
        print(out, &figures, &found.without_face)?;
        let people: Vec<String> = found.faces.iter().map(|face| face.person.clone()).collect();
        print_challenges(out, &figures.pairs, &people)?;
        if let Some(folder) = &self.report {
            report::write_age(folder, &figures)
                .with_context(|| format!("cannot write the report to {}", folder.display()))?;
            writeln!(out, "report in {}", folder.display())?;
        }
        Ok(())
    }
}

/// Prints the share of people below an age limit who pass it, for each limit and margin.
fn print_challenges(out: &mut impl Write, pairs: &[AgePair], people: &[String]) -> std::io::Result<()> {
    writeln!(
        out,
        "\nbelow the limit, but estimated at the limit plus a margin or above (95 % intervals over people)"
    )?;
    write!(out, "limit")?;
    for margin in CHALLENGE_MARGINS {
        write!(out, " {:>20}", format!("+ {margin} years"))?;
    }
    writeln!(out)?;
    for limit in CHALLENGE_LIMITS {
        write!(out, "{limit:5}")?;
        for margin in CHALLENGE_MARGINS {
            let rate = challenge(pairs, people, limit, margin);
            let shown = rate.map_or("nobody".to_owned(), |rate| {
                let ends = rate.interval.map_or(String::new(), |ends| {
                    format!(" ({:.1} to {:.1})", ends.low * 100.0, ends.high * 100.0)
                });
                format!("{:.1} %{ends}", rate.share * 100.0)
            });
            write!(out, " {shown:>20}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn print(out: &mut impl Write, figures: &AgeFigures, without_face: &[PathBuf]) -> std::io::Result<()> {
    writeln!(
        out,
        "{} faces, {} pictures without a face, {} faces of negative quality, which the service gives no age",
        figures.pairs.len(),
        figures.without_face,
        figures.unanswered
    )?;
    for path in without_face {
        writeln!(out, "no face: {}", path.display())?;
    }
    writeln!(out, "\nerrors in years (offset: positive where people seem older than they are)")?;
    writeln!(out, "    age   faces   mean error   offset")?;
    let row = |out: &mut dyn Write, name: &str, errors: &AgeErrors| {
        let AgeErrors { count, mae, bias, .. } = errors;
        writeln!(out, "{name:>7} {count:7} {mae:12.1} {bias:+8.1}")
    };
    for (years, errors) in &figures.bands {
        row(out, &name(*years), errors)?;
    }
    row(out, "all", &figures.all)?;
    if let Some(middle) = &figures.middle {
        row(out, &name(MIDDLE_AGES), middle)?;
    }
    if let Some(answered) = &figures.answered {
        row(out, "given", answered)?;
    }
    writeln!(out, "mean error over the bands: {:.2} years", figures.mae_over_bands())?;
    if let Some(correlation) = figures.correlation {
        writeln!(out, "correlation of age and estimate: {correlation:.3}")?;
    }
    writeln!(out, "\nthreshold   younger, above it   older, below it")?;
    for threshold in &figures.thresholds {
        let [passed, refused] = [threshold.younger_passed, threshold.older_refused]
            .map(|part| part.map_or_else(|| "nobody".to_owned(), |part| format!("{:.1} %", part * 100.0)));
        writeln!(out, "{:9} {passed:>19} {refused:>17}", threshold.years)?;
    }
    let distrust = figures.distrust();
    writeln!(out, "\n{}", distrust.as_deref().unwrap_or("no band is off by more than can be built on"))
}
