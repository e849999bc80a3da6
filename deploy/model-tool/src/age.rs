//! `faceline-models evaluate age`: errors of estimated ages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use faceline_models::evaluation::{
    AgeErrors, AgeIndex, AgePair, CHALLENGE_LIMITS, CHALLENGE_MARGINS, Fold, MIDDLE_AGES, challenge,
};
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{AgedFace, Pipeline};

use crate::age_figures::{AgeFigures, name};
use crate::each::each;
use crate::pad::padded;
use crate::report;

#[derive(Debug, clap::Args)]
pub(crate) struct Age {
    /// A folder with `index.csv`, whose columns `path` and `age` have pictures and the ages of the people in them
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Use only one of N parts of the pictures: those that no correction was fitted to
    #[arg(long, value_name = "K/N")]
    fold: Option<Fold>,
    /// Put a black border of this width, in pixels, around each picture, for data sets that are cropped close to the face
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pad: u32,
    /// Write every estimate into a CSV file
    #[arg(long, value_name = "FILE")]
    estimates: Option<PathBuf>,
    /// Write report.html, report.json and pictures of the errors (SVG) into a folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Age {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let index = AgeIndex::read(&self.dataset, self.fold)?;
        let (mut faces, mut people, mut without_face) = (Vec::new(), Vec::new(), Vec::new());
        let found = self.estimate(config, &index)?;
        if let Some(file) = &self.estimates {
            write_estimates(file, &index, &found)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        for (((path, age), person), face) in index.pictures.iter().zip(&index.people).zip(found) {
            match face {
                Some(AgedFace { quality, age: Some(estimate), .. }) => {
                    faces.push((AgePair { age: *age, estimate }, quality < 0));
                    people.push(person.clone());
                }
                _ => without_face.push(path),
            }
        }
        let figures = AgeFigures::of(&faces, without_face.len())
            .with_context(|| format!("{}: no face was found", self.dataset.display()))?;
        print(&mut std::io::stdout(), &figures, &without_face)?;
        print_challenges(&mut std::io::stdout(), &figures.pairs, &people)?;
        if let Some(folder) = &self.report {
            report::write_age(folder, &figures)
                .with_context(|| format!("cannot write the report to {}", folder.display()))?;
            writeln!(std::io::stdout(), "report in {}", folder.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Estimates all ages on all cores, in the order of the list.
    fn estimate(&self, config: &Settings, index: &AgeIndex) -> anyhow::Result<Vec<Option<AgedFace>>> {
        let pictures: Vec<&Path> = index.pictures.iter().map(|(path, _)| path.as_path()).collect();
        each(config, &pictures, "estimating {pos} of {len} ages", |pipeline, path| {
            estimate(pipeline, path, self.pad)
        })
    }
}

fn estimate(pipeline: &mut Pipeline, path: &Path, pad: u32) -> anyhow::Result<Option<AgedFace>> {
    let mut bytes = std::fs::read(path)?;
    if pad > 0 {
        bytes = padded(&bytes, pad)?;
    }
    Ok(pipeline.estimate_central_age(&bytes)?)
}

/// Writes one line a face: its picture, person, age, corrected estimate, and the estimate of each network.
fn write_estimates(file: &Path, index: &AgeIndex, found: &[Option<AgedFace>]) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    writeln!(out, "path,person,age,estimate,networks")?;
    for (((path, age), person), face) in index.pictures.iter().zip(&index.people).zip(found) {
        let Some(AgedFace { age: Some(estimate), estimates, .. }) = face else { continue };
        let each: Vec<String> = estimates.iter().map(|years| format!("{years:.3}")).collect();
        writeln!(out, "\"{}\",\"{person}\",{age},{estimate:.3},{}", path.display(), each.join(" "))?;
    }
    out.flush()
}

/// Prints the share of people below a limit who pass it with a margin.
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

fn print(out: &mut impl Write, figures: &AgeFigures, without_face: &[&PathBuf]) -> std::io::Result<()> {
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
