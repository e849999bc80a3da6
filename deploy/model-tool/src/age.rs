//! `faceline-models evaluate age`: errors of estimated ages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use faceline_models::evaluation::{AgeErrors, AgeIndex, AgePair, Fold, MIDDLE_AGES};
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
    /// Write report.html, report.json and pictures of the errors (SVG) into a folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Age {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let index = AgeIndex::read(&self.dataset, self.fold)?;
        let (mut faces, mut without_face) = (Vec::new(), Vec::new());
        for ((path, age), face) in index.pictures.iter().zip(self.estimate(config, &index)?) {
            match face {
                Some(AgedFace { quality, age: Some(estimate) }) => {
                    faces.push((AgePair { age: *age, estimate }, quality < 0));
                }
                _ => without_face.push(path),
            }
        }
        let figures = AgeFigures::of(&faces, without_face.len())
            .with_context(|| format!("{}: no face was found", self.dataset.display()))?;
        print(&mut std::io::stdout(), &figures, &without_face)?;
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
