//! Liveness calibrations: maps from log-odds of the liveness models to a score.
//!
//! A calibration maps log-odds to a calibrated log-likelihood ratio (LLR, natural logarithm). It also sets the LLR
//! above which each security level accepts. The score that callers get is a monotone function of the LLR, for which
//! these thresholds are 0.25, 0.5 and 0.75. So a score means the same for all models and all choices of thresholds.

mod bona_fide;
mod fit;

pub use self::bona_fide::{BonaFideThreshold, min_pictures, threshold_at};
pub use self::fit::{LlrFit, Sample};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::manifest::{Model, Profile, Role};

/// Bound of a score's logit on each side. Beyond it, scores no longer differ in `f32`.
const MAX_LOGIT: f32 = 30.0;

/// Logit of the score 0.75, the threshold of the level HIGH. The logit of LOW's threshold is its negative.
const LOGIT_OF_HIGH: f32 = 1.098_612_3;

/// A liveness calibration: shipped in the manifest, or made by an operator.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessCalibration {
    /// Its name.
    pub name: String,
    /// The profile whose models it is for.
    pub profile: Profile,
    /// The [`models_sha256`] for which an operator made it; absent in a manifest, where it is for the models beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models_sha256: Option<String>,
    /// For a single picture.
    pub still: ScoreMap,
    /// For the mean log-odds of several frames of a video.
    pub clip: ScoreMap,
}

/// The map from log-odds to a score.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreMap {
    /// Factor of the log-odds in the LLR, above 0.
    pub scale: f32,
    /// Added to the scaled log-odds.
    pub offset: f32,
    /// LLR above which the level LOW accepts.
    pub low: f32,
    /// LLR above which the level MEDIUM accepts.
    pub medium: f32,
    /// LLR above which the level HIGH accepts.
    pub high: f32,
}

impl LivenessCalibration {
    /// Reads the TOML of a calibration, and checks it.
    ///
    /// # Errors
    /// Returns a description of the fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let calibration: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        calibration.check()?;
        Ok(calibration)
    }

    /// The calibration as TOML.
    ///
    /// # Errors
    /// A value cannot be written.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Checks that scales are positive and thresholds rise.
    ///
    /// # Errors
    /// Returns a description of the fault.
    pub fn check(&self) -> Result<(), &'static str> {
        self.still.check()?;
        self.clip.check()
    }
}

impl ScoreMap {
    /// The calibrated log-likelihood ratio of log-odds. It is above 0 where a living person is likelier than an attack,
    /// before any assumption about the frequency of attacks.
    #[must_use]
    pub fn llr(&self, log_odds: f32) -> f32 {
        self.scale * log_odds + self.offset
    }

    /// The score of log-odds, above 0 and at most 1. Its logit is linear between the thresholds, and the outer pieces
    /// continue beyond them.
    #[must_use]
    pub fn score(&self, log_odds: f32) -> f32 {
        score_of_logit(self.logit(log_odds))
    }

    /// The logit of [`Self::score`]: 0 at the threshold of MEDIUM, ln 3 at that of HIGH, -ln 3 at that of LOW.
    #[must_use]
    pub fn logit(&self, log_odds: f32) -> f32 {
        let beyond = self.llr(log_odds) - self.medium;
        let piece = if beyond < 0.0 { self.medium - self.low } else { self.high - self.medium };
        LOGIT_OF_HIGH * beyond / piece
    }

    fn check(&self) -> Result<(), &'static str> {
        let Self { scale, offset, low, medium, high } = *self;
        if !(scale.is_finite() && scale > 0.0 && offset.is_finite()) {
            return Err("a scale must be above 0, and scale and offset finite");
        }
        if !(low.is_finite() && high.is_finite() && low < medium && medium < high) {
            return Err("the thresholds of LOW, MEDIUM and HIGH must rise");
        }
        Ok(())
    }
}

/// SHA-256, in hex, of all that the manifest says about the log-odds of liveness: the files of the liveness models among
/// `models`, their crops and other preparation of inputs, and their outputs. A calibration made for other ones maps the
/// log-odds of these models to wrong scores.
///
/// # Errors
/// A value of the manifest cannot be written as JSON.
pub fn models_sha256<'m>(models: impl Iterator<Item = &'m Model>) -> Result<String, serde_json::Error> {
    let of_liveness = models.filter(|model| model.role == Role::Liveness);
    let described: Vec<_> = of_liveness.map(|model| (&model.sha256, &model.input, &model.output)).collect();
    let hash = digest(&SHA256, &serde_json::to_vec(&described)?);
    Ok(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The score of a logit, above 0 and at most 1.
#[must_use]
pub fn score_of_logit(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).clamp(-MAX_LOGIT, MAX_LOGIT).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Crop;

    const MAP: ScoreMap = ScoreMap { scale: 0.5, offset: 1.0, low: -1.0, medium: 0.5, high: 4.0 };

    #[test]
    fn thresholds_have_the_scores_of_the_levels() {
        let scores = [-4.0, -1.0, 6.0].map(|log_odds| MAP.score(log_odds));
        for (score, level) in scores.into_iter().zip([0.25, 0.5, 0.75]) {
            assert!((score - level).abs() < 1e-6, "{score} {level}");
        }
        assert_eq!([-4.0, -1.0, 6.0].map(|log_odds| MAP.llr(log_odds)), [-1.0, 0.5, 4.0]);
    }

    #[test]
    fn scores_rise_with_the_log_odds() {
        let scores: Vec<f32> = (-30i16..=30).map(|log_odds| MAP.score(f32::from(log_odds))).collect();
        assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
        assert!(MAP.score(-1e9) > 0.0 && MAP.score(1e9) <= 1.0);
    }

    #[test]
    fn other_files_crops_and_profiles_have_another_sum() {
        let manifest = crate::manifest::Manifest::default_manifest().unwrap();
        let sum = |change: &dyn Fn(&mut Model)| {
            let mut models: Vec<_> = manifest.models_of(Role::Liveness, Profile::Default).cloned().collect();
            models.iter_mut().for_each(change);
            models_sha256(models.iter()).unwrap()
        };
        let installed = sum(&|_| ());
        assert_eq!(installed.len(), 64);
        assert_eq!(sum(&|model| model.name.push('2')), installed, "a name changes no log-odds");
        let other_crop = |model: &mut Model| {
            let Crop::Box { factor, .. } = &mut model.input.crop else { panic!("{:?}", model.input.crop) };
            *factor = 2.7;
        };
        assert_ne!(sum(&other_crop), installed);
        assert_ne!(sum(&|model| model.sha256 = "0".repeat(64)), installed);
        let strong = models_sha256(manifest.models_of(Role::Liveness, Profile::Strong)).unwrap();
        assert_ne!(strong, installed);
        let others = manifest.models.iter().filter(|model| model.role != Role::Liveness);
        let all = manifest.models_of(Role::Liveness, Profile::Default).chain(others);
        assert_eq!(models_sha256(all).unwrap(), installed, "models of other roles do not matter");
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        assert_eq!(MAP.check(), Ok(()));
        for map in [
            ScoreMap { scale: 0.0, ..MAP },
            ScoreMap { offset: f32::NAN, ..MAP },
            ScoreMap { low: 0.5, ..MAP },
            ScoreMap { high: f32::INFINITY, ..MAP },
            ScoreMap { medium: f32::NAN, ..MAP },
        ] {
            assert!(map.check().is_err(), "{map:?}");
        }
    }
}
