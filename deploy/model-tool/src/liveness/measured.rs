//! What the pipeline measures of each presentation.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use faceline_models::evaluation::{Presentation, presentations};
use faceline_models::liveness::{Sample, ScoreMap};
use faceline_shared::job::examination::{Check, Examination};
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{CodingFault, ExaminedPicture, ExaminingFault, Pipeline};

use crate::each::each;

/// A presentation, and what the pipeline says of it.
pub(crate) struct Measured {
    pub(crate) presentation: Presentation,
    /// The failed checks of the only face.
    pub(crate) findings: Vec<(Check, f32)>,
    /// Number of faces.
    pub(crate) faces: usize,
    /// Log-odds of each network; empty where the face was not judged.
    pub(crate) log_odds: Vec<f32>,
    /// The part of the crop that the picture holds; `None` without a face.
    pub(crate) crop_fit: Option<f32>,
    /// Whether the picture is too tight for the crop, so the service does not judge it.
    pub(crate) is_tight: bool,
}

impl Measured {
    /// Measures all pictures of the data sets. Pictures that are too tight are judged as well, and marked.
    pub(crate) fn of(config: &Settings, datasets: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let mut unbounded = config.clone();
        unbounded.findings.least_liveness_crop = 0.0;
        let mut shown: Vec<Presentation> = Vec::new();
        for dataset in datasets {
            shown.extend(presentations(dataset)?);
        }
        let paths: Vec<&Path> = shown.iter().map(|presentation| presentation.path.as_path()).collect();
        let examined = each(&unbounded, &paths, "examining {pos} of {len} pictures", examine)?;
        let bound = config.findings.least_liveness_crop;
        let measured = shown.into_iter().zip(examined).map(|(presentation, examined)| {
            let Some(ExaminedPicture { shown, log_odds, crop_fit, .. }) = examined else {
                return Self::unreadable(presentation);
            };
            Self {
                presentation,
                findings: shown.findings.iter().map(|finding| (finding.check, finding.score)).collect(),
                faces: shown.faces.len(),
                log_odds,
                crop_fit,
                is_tight: crop_fit.is_some_and(|fit| fit < bound),
            }
        });
        Ok(measured.collect())
    }

    /// A file that is no picture: it has no response.
    fn unreadable(presentation: Presentation) -> Self {
        let (findings, log_odds) = (Vec::new(), Vec::new());
        Self { presentation, findings, faces: 0, log_odds, crop_fit: None, is_tight: false }
    }

    /// The mean log-odds of all networks; `None` where the face was not judged.
    pub(crate) fn mean(&self) -> Option<f32> {
        let count = self.log_odds.len();
        (count > 0).then(|| self.log_odds.iter().sum::<f32>() / count as f32)
    }

    /// The sample for a fit; `None` where the face was not judged.
    pub(crate) fn sample(&self) -> Option<Sample> {
        let Presentation { attack, source, .. } = &self.presentation;
        Some(Sample { source: source.clone(), is_live: attack.is_none(), log_odds: self.mean()? })
    }

    /// Why the face was not judged; empty where it was.
    fn outcome(&self) -> String {
        match self.faces {
            _ if !self.log_odds.is_empty() => String::new(),
            0 => "no face".to_owned(),
            1 => {
                let rejects = self.findings.iter().find(|(check, _)| check.rejects());
                rejects.map_or(String::new(), |(check, _)| format!("{check:?}"))
            }
            _ => "several faces".to_owned(),
        }
    }
}

/// Writes one line a presentation, as CSV.
pub(crate) fn write_scores(file: &Path, measured: &[Measured], map: &ScoreMap) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
        let networks = measured.iter().map(|one| one.log_odds.len()).max().unwrap_or(0);
        let names: Vec<String> = (1..=networks).map(|at| format!(",log_odds_{at}")).collect();
        writeln!(out, "path,source,subject,label,outcome,crop_fit,tight{},llr,score", names.concat())?;
        for one in measured {
            let Presentation { path, attack, subject, source } = &one.presentation;
            let number = |value: Option<f32>| value.map_or(String::new(), |value| format!("{value:.4}"));
            let each: Vec<String> =
                (0..networks).map(|at| format!(",{}", number(one.log_odds.get(at).copied()))).collect();
            let path = path.display().to_string();
            writeln!(
                out,
                "{},{},{},{},{},{},{}{},{},{}",
                field(&path),
                field(source),
                field(subject),
                field(attack.as_deref().unwrap_or("live")),
                one.outcome(),
                number(one.crop_fit),
                u8::from(one.is_tight),
                each.concat(),
                number(one.mean().map(|mean| map.llr(mean))),
                number(one.mean().map(|mean| map.score(mean)))
            )?;
        }
        out.flush()
    };
    written().with_context(|| format!("cannot write {}", file.display()))
}

/// A field of a line of CSV (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Examines a picture; `None` if the file is no picture that can be decoded.
fn examine(pipeline: &mut Pipeline, path: &Path) -> anyhow::Result<Option<ExaminedPicture>> {
    let live = vec![Bytes::from(std::fs::read(path)?)];
    let asked = Examination { live, photo: None, liveness: true, challenge: Vec::new() };
    match pipeline.examine(&asked) {
        Ok(examined) => examined.live.into_iter().next().context("nothing was examined").map(Some),
        Err(ExaminingFault { fault: CodingFault::Picture(_), .. }) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}
