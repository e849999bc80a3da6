//! The quality measures of a face.

use super::cover::Cover;
use super::framing::share_outside;
use super::sharpness::sharpness;
use super::tones::{Patch, Tones};
use crate::picture::Chip;
use crate::pipeline::geometry::HeadPose;
use crate::pipeline::search::Candidate;

/// Millimetres from pupil to pupil in an average head.
const PUPIL_DISTANCE_MM: f32 = 63.0;

/// Indices of the inner lips' middles in the iBUG scheme.
const UPPER_LIP: usize = 62;
const LOWER_LIP: usize = 66;

/// Quality measures of a face. Where a measure stands for a component of ISO/IEC 29794-5, the component is named in
/// brackets; the computation is this project's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// From eye to eye in pixels of the picture as received (inter-eye distance).
    pub inter_eye_distance: f32,
    /// Degrees; positive where the nose points to the picture's right (head pose, yaw).
    pub yaw: f32,
    /// Degrees; positive where the nose points up (head pose, pitch).
    pub pitch: f32,
    /// Degrees; positive where the head leans clockwise, in the rotation in which the picture was coded (head pose,
    /// roll).
    pub roll: f32,
    /// 0 to 1; below 0.8 the landmarks do not have the proportions of a head.
    pub proportions: f32,
    /// Share of the face outside of the picture, 0 to 1 (crop of the face image).
    pub outside: f32,
    /// Fine over coarse gradients: 0.25 for a blur, 0.33 for the usual face, above 0.4 for noise (sharpness).
    pub sharpness: f32,
    /// Mean luma, 0 to 255 (luminance mean).
    pub luminance: f32,
    /// Share of black pixels, 0 to 1 (under-exposure prevention).
    pub under_exposure: f32,
    /// Share of white pixels, 0 to 1 (over-exposure prevention).
    pub over_exposure: f32,
    /// Levels of luma from the 5th percentile to the 95th, 0 to 255 (dynamic range).
    pub dynamic_range: f32,
    /// Entropy of the luma less that of an even spread over its range, in bits. Usually about 0; negative where parts
    /// are covered, burnt out or lost to compression (no compression artifacts, face occlusion prevention).
    pub tonal_richness: f32,
    /// Intersection of the histograms of the face's two halves, 0 to 1 (illumination uniformity).
    pub illumination_uniformity: f32,
    /// Natural logarithm of the cheeks' brightness over the eyes': above 1.3 dark glasses or deep shadows (eyes
    /// visible).
    pub eye_shade: f32,
    /// Difference of chin and cheeks in chromaticity, 0 to 2 (mouth occlusion prevention).
    pub chin_tint: f32,
    /// Similarity of the face to itself with its lower half painted over, -1 to 1 (mouth occlusion prevention). Above 0.75
    /// nothing of the lower half is seen. 0 where [`Measures::may_be_masked`] is false: it was not computed.
    pub lower_half_cover: f32,
    /// Distance between the lips, in eye distances of a frontal head (mouth closed).
    pub mouth_opening: f32,
    /// The detector's score, 0 to 1 (single face present).
    pub detector_score: f32,
    /// Mean distance of a landmark from its mean when the face's box is moved, in eye distances.
    pub landmark_spread: f32,
    /// Length of the embedding before normalisation (unified quality score). The network gives short embeddings to
    /// faces that it recognises badly.
    pub embedding_length: f32,
}

impl Measures {
    /// Number of measures.
    pub const COUNT: usize = 20;

    /// Measures a candidate from its aligned chip and its embedding's length.
    pub(crate) fn new(candidate: &Candidate, chip: &Chip, embedding_length: f32) -> Self {
        let Candidate { detection, landmarks, spread, frame, .. } = candidate;
        let pose = HeadPose::new(&landmarks.0);
        let patch = Patch::new(chip);
        let tones = Tones::new(&patch);
        let cover = Cover::new(chip);
        let [upper, lower] = [landmarks.0[UPPER_LIP], landmarks.0[LOWER_LIP]];
        let straight_eyes = (pose.scale * PUPIL_DISTANCE_MM).max(f32::MIN_POSITIVE);
        Self {
            inter_eye_distance: candidate.eye_distance(),
            yaw: pose.yaw,
            pitch: pose.pitch,
            roll: pose.roll,
            proportions: pose.rigidity,
            outside: share_outside(landmarks.eyes(), frame.width, frame.height),
            sharpness: sharpness(&patch),
            luminance: tones.mean,
            under_exposure: tones.black,
            over_exposure: tones.white,
            dynamic_range: tones.range,
            tonal_richness: tones.richness,
            illumination_uniformity: tones.uniformity,
            eye_shade: cover.eye_shade,
            chin_tint: cover.chin_tint,
            lower_half_cover: 0.0,
            mouth_opening: (upper[0] - lower[0]).hypot(upper[1] - lower[1]) / straight_eyes,
            detector_score: detection.score,
            landmark_spread: *spread,
            embedding_length,
        }
    }

    /// Whether the face may wear a mask, by measures that need no further run of a model. Masks shorten the embedding,
    /// most have another colour than skin, and landmarks that are guessed behind cloth lack the proportions of a head.
    /// Of masks drawn on 260 faces of LFW and FG-NET in five colours, 95 % are suspected, and of the bare faces 40 %.
    pub(crate) fn may_be_masked(&self) -> bool {
        self.embedding_length < 3.5
            || (self.embedding_length < 4.2 && (self.chin_tint > 0.055 || self.proportions < 0.84))
    }

    /// All measures with their names, in a fixed order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f32); Self::COUNT] {
        [
            ("inter_eye_distance", self.inter_eye_distance),
            ("yaw", self.yaw),
            ("pitch", self.pitch),
            ("roll", self.roll),
            ("proportions", self.proportions),
            ("outside", self.outside),
            ("sharpness", self.sharpness),
            ("luminance", self.luminance),
            ("under_exposure", self.under_exposure),
            ("over_exposure", self.over_exposure),
            ("dynamic_range", self.dynamic_range),
            ("tonal_richness", self.tonal_richness),
            ("illumination_uniformity", self.illumination_uniformity),
            ("eye_shade", self.eye_shade),
            ("chin_tint", self.chin_tint),
            ("lower_half_cover", self.lower_half_cover),
            ("mouth_opening", self.mouth_opening),
            ("detector_score", self.detector_score),
            ("landmark_spread", self.landmark_spread),
            ("embedding_length", self.embedding_length),
        ]
    }
}
