//! The section `findings`.

use serde::Deserialize;

use super::error::{SettingsError, invalid};

/// Findings: reasons why a live picture is not judged, and their thresholds. The unit of lengths in a face is the
/// distance between its eyes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct FindingSettings {
    /// Cropped: brows, cheeks or mouth are nearer to the picture's border than this many eye distances. A negative value lets
    /// them lie beyond the border.
    pub cropped_margin: f32,
    /// Cropped: the detector's box reaches the lower border, and its ratio of height to width is below this. 1.4 is
    /// usual.
    pub cropped_aspect: f32,
    /// Close to the border: brows, cheeks or mouth are nearer to it than this many eye distances.
    pub min_margin: f32,
    /// Too close: the eye distance is more than this part of the picture's shorter side, 0 to 1.
    pub max_eye_part: f32,
    /// Too close: the widest square crop that the picture holds has less than this many times the side of the face (of
    /// the square of the area of the detector's box). Liveness scores of tighter crops are not comparable.
    pub min_surroundings: f32,
    /// Too small: the eye distance is below this, in pixels.
    pub min_eye_distance: f32,
    /// Too small: the eye distance is less than this part of the picture's longer side, 0 to 1.
    pub min_eye_part: f32,
    /// Turned away: the head is turned further to a side than this, in degrees.
    pub max_yaw: f32,
    /// Turned away: the head is turned further up or down than this, in degrees.
    pub max_pitch: f32,
    /// Covered (masks): the similarity, up to 1, between the face and the same face with its lower half painted over, plus twice
    /// the scatter of its landmarks, is above this.
    pub max_cover: f32,
    /// Covered (dark glasses): the natural logarithm of the ratio between the brightness of the cheeks and of the
    /// eyes is above this.
    pub max_eye_shade: f32,
    /// Covered: the quality, -500 to 300, is below this although no other finding applies.
    pub min_quality: f32,
    /// Too dark: the mean luma, 0 to 255, is below this.
    pub min_luminance: f32,
    /// Too bright: the mean luma, 0 to 255, is above this.
    pub max_luminance: f32,
    /// Too bright: the white share of the face, 0 to 1, is above this.
    pub max_white: f32,
    /// Low contrast: the 5th and the 95th percentile of luma differ by less than this, 0 to 255.
    pub min_contrast: f32,
    /// Blurred: the ratio of fine to coarse gradients is below this. A blurred face has 0.25, a usual one 0.33.
    pub min_sharpness: f32,
}

impl Default for FindingSettings {
    fn default() -> Self {
        Self {
            cropped_margin: -0.1,
            cropped_aspect: 1.05,
            min_margin: 0.1,
            max_eye_part: 0.4,
            min_surroundings: 1.2,
            min_eye_distance: 16.0,
            min_eye_part: 0.015,
            max_yaw: 41.0,
            max_pitch: 42.0,
            max_cover: 0.84,
            max_eye_shade: 1.9,
            min_quality: -300.0,
            min_luminance: 45.0,
            max_luminance: 225.0,
            max_white: 0.4,
            min_contrast: 35.0,
            min_sharpness: 0.284,
        }
    }
}

impl FindingSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let ranges = [
            ("cropped_margin", self.cropped_margin, -1.0..=1.0),
            ("cropped_aspect", self.cropped_aspect, 0.0..=2.0),
            ("min_margin", self.min_margin, self.cropped_margin.max(-1.0)..=1.0),
            ("max_eye_part", self.max_eye_part, 0.0..=1.0),
            ("min_surroundings", self.min_surroundings, 0.0..=4.0),
            ("min_eye_distance", self.min_eye_distance, 0.0..=1000.0),
            ("min_eye_part", self.min_eye_part, 0.0..=1.0),
            ("max_yaw", self.max_yaw, 0.0..=90.0),
            ("max_pitch", self.max_pitch, 0.0..=90.0),
            ("max_cover", self.max_cover, 0.0..=2.0),
            ("max_eye_shade", self.max_eye_shade, 0.0..=6.0),
            ("min_quality", self.min_quality, -500.0..=300.0),
            ("min_luminance", self.min_luminance, 0.0..=255.0),
            ("max_luminance", self.max_luminance, 0.0..=255.0),
            ("max_white", self.max_white, 0.0..=1.0),
            ("min_contrast", self.min_contrast, 0.0..=255.0),
            ("min_sharpness", self.min_sharpness, 0.0..=1.0),
        ];
        match ranges.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((key, _, range)) => {
                invalid(format!("findings.{key} must be from {} to {}", range.start(), range.end()))
            }
            None => Ok(()),
        }
    }
}
