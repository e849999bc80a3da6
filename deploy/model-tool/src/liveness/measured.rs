//! Measurements of the pipeline for each presentation.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use faceline_models::evaluation::{Medium, Presentation, presentations};
use faceline_models::liveness::{LivenessCalibration, Sample, ScoreMap};
use faceline_shared::job::examination::{Check, Examination};
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{ExaminedPicture, ExaminingFault, Pipeline, PipelineFault};
use faceline_worker::video::Decoder;
use faceline_worker::{ClipAnswer, MeasuredClip};

use super::clips;
use crate::each::each;

/// A presentation with the pipeline's measurements.
pub(crate) struct Measured {
    pub(crate) presentation: Presentation,
    /// The failed checks of the only face. For a clip, those of all frames that vote.
    pub(crate) findings: Vec<(Check, f32)>,
    /// Number of faces. For a clip, the largest number in a frame that votes.
    pub(crate) faces: usize,
    /// Log-odds of each network; empty if the face was not judged. For a clip it is one number, the mean over networks
    /// and key frames.
    pub(crate) log_odds: Vec<f32>,
    /// Side of the widest square crop that the picture holds, in sides of the face; `None` without a face.
    pub(crate) surroundings: Option<f32>,
    /// Whether the picture is too tight for the crop, so the service does not judge it. For frames of a clip, this is a
    /// finding instead.
    pub(crate) is_tight: bool,
    /// The service's answer about a clip; `None` for pictures, and for clips that cannot be decoded.
    pub(crate) answer: Option<ClipAnswer>,
}

impl Measured {
    /// Measures all pictures and clips of the data sets. Pictures that are too tight are measured as well, and marked.
    pub(crate) fn of(config: &Settings, datasets: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let (clips, pictures) = shown(datasets)?;
        let paths: Vec<&Path> = clips.iter().map(|presentation| presentation.path.as_path()).collect();
        let decoder = Decoder::new(&config.replay);
        let of_clips = each(config, &paths, "judging {pos} of {len} clips", |pipeline, path| {
            clips::measure(pipeline, &decoder, path)
        })?;
        let clips = clips.into_iter().zip(of_clips).map(|(presentation, found)| match found {
            Some(found) => Self::of_clip(presentation, &found),
            None => Self::unreadable(presentation),
        });
        let mut measured = Self::of_pictures(config, pictures)?;
        measured.extend(clips);
        Ok(measured)
    }

    /// Measures only the pictures of the data sets.
    pub(crate) fn of_pictures_of(config: &Settings, datasets: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        Self::of_pictures(config, shown(datasets)?.1)
    }

    fn of_pictures(config: &Settings, pictures: Vec<Presentation>) -> anyhow::Result<Vec<Self>> {
        let mut unbounded = config.clone();
        unbounded.findings.min_surroundings = 0.0;
        let paths: Vec<&Path> = pictures.iter().map(|presentation| presentation.path.as_path()).collect();
        let examined = each(&unbounded, &paths, "examining {pos} of {len} pictures", examine)?;
        let bound = config.findings.min_surroundings;
        let measured = pictures.into_iter().zip(examined).map(|(presentation, examined)| {
            let Some(ExaminedPicture { shown, log_odds, surroundings, .. }) = examined else {
                return Self::unreadable(presentation);
            };
            Self {
                presentation,
                findings: shown.findings.iter().map(|finding| (finding.check, finding.score)).collect(),
                faces: shown.faces.len(),
                log_odds,
                surroundings,
                is_tight: surroundings.is_some_and(|sides| sides < bound),
                answer: None,
            }
        });
        Ok(measured.collect())
    }

    fn of_clip(presentation: Presentation, clip: &MeasuredClip) -> Self {
        let findings = clip.votes.iter().flat_map(|shown| &shown.findings);
        Self {
            presentation,
            findings: findings.map(|finding| (finding.check, finding.score)).collect(),
            faces: clip.votes.iter().map(|shown| shown.faces.len()).max().unwrap_or(0),
            log_odds: clip.log_odds.into_iter().collect(),
            surroundings: None,
            is_tight: false,
            answer: Some(clip.answer),
        }
    }

    /// The result for a file that is not a picture or video: it counts as no response.
    fn unreadable(presentation: Presentation) -> Self {
        let (findings, log_odds) = (Vec::new(), Vec::new());
        Self { presentation, findings, faces: 0, log_odds, surroundings: None, is_tight: false, answer: None }
    }

    /// The score that the service gives; `None` if it does not judge. A clip that is judged as an attack without a
    /// score gets 0.
    pub(crate) fn score(&self, calibration: &LivenessCalibration) -> Option<f32> {
        if !self.presentation.medium.is_clip() {
            return self.mean().map(|log_odds| calibration.still.score(log_odds));
        }
        match self.answer? {
            ClipAnswer::NotJudged(_) => None,
            ClipAnswer::Attack(_) => Some(0.0),
            ClipAnswer::Score(score) => Some(score),
        }
    }

    /// The mean log-odds of all networks; `None` if the face was not judged.
    pub(crate) fn mean(&self) -> Option<f32> {
        let count = self.log_odds.len();
        (count > 0).then(|| self.log_odds.iter().sum::<f32>() / count as f32)
    }

    /// The sample for a fit; `None` if the face was not judged.
    pub(crate) fn sample(&self) -> Option<Sample> {
        let Presentation { attack, source, .. } = &self.presentation;
        Some(Sample { source: source.clone(), is_live: attack.is_none(), log_odds: self.mean()? })
    }

    /// The reason why there is no score; empty if there is one.
    fn outcome(&self) -> String {
        match self.answer {
            Some(ClipAnswer::NotJudged(reason)) => return format!("{reason:?}"),
            Some(ClipAnswer::Attack(reason)) => return format!("attack: {reason:?}"),
            Some(ClipAnswer::Score(_)) => return String::new(),
            None if self.presentation.medium.is_clip() => return "no video".to_owned(),
            None => {}
        }
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

/// The clips of the data sets, and their pictures.
fn shown(datasets: &[PathBuf]) -> anyhow::Result<(Vec<Presentation>, Vec<Presentation>)> {
    let mut shown = Vec::new();
    for dataset in datasets {
        shown.extend(presentations(dataset)?);
    }
    Ok(shown.into_iter().partition(|presentation| presentation.medium.is_clip()))
}

/// Writes one line per presentation, as CSV.
pub(crate) fn write_scores(
    file: &Path,
    measured: &[Measured],
    calibration: &LivenessCalibration,
) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
        let networks = measured.iter().map(|one| one.log_odds.len()).max().unwrap_or(0);
        let names: Vec<String> = (1..=networks).map(|at| format!(",log_odds_{at}")).collect();
        writeln!(
            out,
            "path,medium,source,subject,label,outcome,surroundings,tight{},llr,score",
            names.concat()
        )?;
        for one in measured {
            let Presentation { path, medium, attack, subject, source } = &one.presentation;
            let map = map_of(calibration, *medium);
            let number = |value: Option<f32>| value.map_or(String::new(), |value| format!("{value:.4}"));
            let each: Vec<String> =
                (0..networks).map(|at| format!(",{}", number(one.log_odds.get(at).copied()))).collect();
            let path = path.display().to_string();
            writeln!(
                out,
                "{},{},{},{},{},{},{},{}{},{},{}",
                field(&path),
                medium.name(),
                field(source),
                field(subject),
                field(attack.as_deref().unwrap_or("live")),
                one.outcome(),
                number(one.surroundings),
                u8::from(one.is_tight),
                each.concat(),
                number(one.mean().map(|mean| map.llr(mean))),
                number(one.score(calibration))
            )?;
        }
        out.flush()
    };
    written().with_context(|| format!("cannot write {}", file.display()))
}

/// The map of pictures, or that of clips.
pub(super) fn map_of(calibration: &LivenessCalibration, medium: Medium) -> &ScoreMap {
    if medium.is_clip() { &calibration.clip } else { &calibration.still }
}

/// Text as a field of a CSV line (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Examines a picture. `None` if the file cannot be decoded as a picture.
fn examine(pipeline: &mut Pipeline, path: &Path) -> anyhow::Result<Option<ExaminedPicture>> {
    let live = vec![Bytes::from(std::fs::read(path)?)];
    let asked = Examination { live, photo: None, liveness: true, challenge: Vec::new() };
    match pipeline.examine(&asked) {
        Ok(examined) => examined.live.into_iter().next().context("nothing was examined").map(Some),
        Err(ExaminingFault { fault: PipelineFault::Picture(_), .. }) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}
