//! `faceline-models calibrate liveness`: thresholds of passive liveness from pictures of living people of one's own camera.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use faceline_models::liveness::{
    BonaFideThreshold, LivenessCalibration, ScoreMap, min_pictures, models_sha256, threshold_at,
};
use faceline_models::liveness_calibration_path;
use faceline_shared::settings::Settings;

use crate::coder;
use crate::liveness::Measured;

/// Share of living people that LOW rejects, relative to MEDIUM. [`HIGH_SHARE`] is the same for HIGH.
const LOW_SHARE: f64 = 0.4;
const HIGH_SHARE: f64 = 2.0;

/// Minimum distance between two levels, as an LLR. With few pictures, two quantiles may be equal.
const MIN_STEP: f32 = 0.05;

#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateLiveness {
    /// Folders of pictures of living people, taken with the camera and the lighting of later use. With index.csv, its
    /// rows with the label `live` are used, and its column `subject` identifies the people. Without it, each
    /// subfolder is one person
    #[arg(long, required = true, value_name = "DIR")]
    bona_fide: Vec<PathBuf>,
    /// Name of the calibration, for the setting `liveness.calibration`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Share of living people that MEDIUM may reject (BPCER), above 0 and below 0.5
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    bpcer: f64,
    /// File to write [default: liveness-calibrations/NAME.toml in models.dir]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl CalibrateLiveness {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        ensure!(self.bpcer > 0.0 && self.bpcer < 0.5, "--bpcer must be above 0 and below 0.5");
        let mut shipped = config.clone();
        shipped.liveness.calibration.clear();
        let models = coder::models(&shipped)?;
        let mut base = models.liveness_calibration().clone();
        base.models_sha256 = Some(models_sha256(models.all())?);
        let measured = Measured::of_pictures_of(&shipped, &self.bona_fide)?;
        let living = measured.iter().filter(|one| one.presentation.attack.is_none());
        let (mut pictures, mut tight, mut unjudged) = (Vec::new(), 0, 0);
        for one in living {
            match one.mean() {
                Some(_) if one.is_tight => tight += 1,
                Some(log_odds) => pictures.push((subject(one), log_odds)),
                None => unjudged += 1,
            }
        }
        let out = &mut std::io::stdout();
        writeln!(
            out,
            "{} pictures of living people; left out: {tight} too tight, {unjudged} without one face that can be judged",
            pictures.len()
        )?;
        let shares = [LOW_SHARE, 1.0, HIGH_SHARE].map(|part| (self.bpcer * part).min(0.5));
        let needed = shares.map(min_pictures);
        ensure!(
            pictures.len() >= needed[1],
            "a BPCER of {} % needs {} pictures, of as many people as possible (LOW needs {} for {} %, HIGH {} for {} %); there are {}",
            percent(shares[1]),
            needed[1],
            needed[0],
            percent(shares[0]),
            needed[2],
            percent(shares[2]),
            pictures.len()
        );
        let thresholds = shares.map(|share| threshold_at(&pictures, share));
        let [low, Some(medium), high] = thresholds else { bail!("there are no pictures") };
        let enough =
            |at: usize, found: Option<BonaFideThreshold>| found.filter(|_| pictures.len() >= needed[at]);
        let thresholds = [enough(0, low), Some(medium), enough(2, high)];
        let log_odds = [thresholds[0], thresholds[2]].map(|found| found.map(|threshold| threshold.log_odds));
        let calibration = calibration(&self.name, &base, medium.log_odds, log_odds);
        writeln!(out, " level   BPCER   pictures needed      LLR   95 % interval over people   shipped")?;
        let levels = ["LOW", "MEDIUM", "HIGH"];
        let llrs = |map: &ScoreMap| [map.low, map.medium, map.high];
        for (at, name) in levels.iter().enumerate() {
            let bounds = match &thresholds[at] {
                Some(threshold) => bounds(threshold, &base.still),
                None => "too few pictures".to_owned(),
            };
            let (own, was) = (llrs(&calibration.still)[at], llrs(&base.still)[at]);
            let (share, needed) = (shares[at] * 100.0, needed[at]);
            writeln!(out, "{name:>6} {share:6.1} %   {needed:15} {own:8.2}   {bounds:>24} {was:9.2}")?;
        }
        for (name, threshold) in levels.iter().zip(&thresholds) {
            if threshold.is_none() {
                writeln!(
                    out,
                    "{name} keeps the shipped distance to MEDIUM: {} pictures are too few for its own quantile",
                    pictures.len()
                )?;
            }
        }
        if calibration.still.medium < base.still.low {
            writeln!(
                out,
                "warning: living people of this camera score lower than attacks of other cameras often do. Better light, a larger distance \
                 or another camera helps more than a low threshold."
            )?;
        }
        let file = self.out.unwrap_or_else(|| liveness_calibration_path(&config.models.dir, &self.name));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&file, calibration.to_toml()?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        writeln!(
            out,
            "written to {}; all workers use it with the setting `liveness.calibration = \"{}\"`",
            file.display(),
            self.name
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Converts a share to percent, rounded to a hundredth.
fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 100.0
}

/// The person in a picture: the column `subject`, or the folder that contains the picture.
fn subject(one: &Measured) -> String {
    let presentation = &one.presentation;
    let path = presentation.path.display().to_string();
    match presentation.path.parent() {
        // Pictures directly in the data set's folder are not all of one person.
        Some(folder) if presentation.subject == path && folder.file_name().is_some() => {
            let is_root = folder.file_name().is_some_and(|name| *name == *presentation.source);
            if is_root { path } else { folder.display().to_string() }
        }
        _ => presentation.subject.clone(),
    }
}

/// Makes the operator's calibration: the map `base` with new thresholds, at the given log-odds. LOW and HIGH keep
/// their shipped distance to MEDIUM if `outer` has no value for them. The thresholds of videos move by as much as those
/// of stills.
fn calibration(
    name: &str,
    base: &LivenessCalibration,
    medium: f32,
    outer: [Option<f32>; 2],
) -> LivenessCalibration {
    let shipped = &base.still;
    let medium = shipped.llr(medium);
    let [low, high] = outer.map(|log_odds| log_odds.map(|log_odds| shipped.llr(log_odds)));
    let low = low.unwrap_or(medium + shipped.low - shipped.medium);
    let high = high.unwrap_or(medium + shipped.high - shipped.medium);
    let low = low.min(medium - MIN_STEP);
    let high = high.max(medium + MIN_STEP);
    let still = ScoreMap { low, medium, high, ..base.still };
    let clip = ScoreMap {
        low: base.clip.low + low - base.still.low,
        medium: base.clip.medium + medium - base.still.medium,
        high: base.clip.high + high - base.still.high,
        ..base.clip
    };
    let clip = ScoreMap {
        low: clip.low.min(clip.medium - MIN_STEP),
        high: clip.high.max(clip.medium + MIN_STEP),
        ..clip
    };
    LivenessCalibration { name: name.to_owned(), still, clip, ..base.clone() }
}

fn bounds(threshold: &BonaFideThreshold, map: &ScoreMap) -> String {
    let llr = |log_odds: f64| map.llr(log_odds as f32);
    threshold
        .interval
        .map_or("one person".to_owned(), |ends| format!("{:.2} to {:.2}", llr(ends.low), llr(ends.high)))
}

#[cfg(test)]
mod tests {
    use faceline_models::manifest::{Manifest, Profile};

    use super::*;

    #[test]
    fn thresholds_are_those_of_the_pictures_and_rise() {
        let manifest = Manifest::default_manifest().unwrap();
        let base = manifest.liveness_calibration(Profile::Default).unwrap();
        let made = calibration("gate", base, 2.0, [Some(1.0), Some(4.0)]);
        assert!((made.still.logit(2.0)).abs() < 1e-5 && made.still.score(2.0) > 0.49);
        assert_eq!(made.check(), Ok(()));
        let moved = made.still.medium - base.still.medium;
        assert!((made.clip.medium - base.clip.medium - moved).abs() < 1e-5);
        let flat = calibration("gate", base, 2.0, [Some(2.0); 2]);
        assert_eq!(flat.check(), Ok(()));
        let few = calibration("gate", base, 2.0, [None, Some(4.0)]).still;
        let distance = few.medium - few.low - (base.still.medium - base.still.low);
        assert!(distance.abs() < 1e-5 && few.medium == made.still.medium && few.high == made.still.high);
        let text = made.to_toml().unwrap();
        assert_eq!(LivenessCalibration::parse(&text).unwrap(), made);
    }
}
