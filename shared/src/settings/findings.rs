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
    pub least_margin: f32,
    /// Too close: the eye distance is more than this part of the picture's shorter side, 0 to 1.
    pub most_eye_part: f32,
    /// Too close: the widest square crop that the picture holds has less than this many times the side of the face (of
    /// the square of the area of the detector's box). Liveness scores of tighter crops are not comparable.
    pub least_surroundings: f32,
    /// Too small: the eye distance is below this, in pixels.
    pub least_eye_distance: f32,
    /// Too small: the eye distance is less than this part of the picture's longer side, 0 to 1.
    pub least_eye_part: f32,
    /// Turned away: the head is turned further to a side than this, in degrees.
    pub most_yaw: f32,
    /// Turned away: the head is turned further up or down than this, in degrees.
    pub most_pitch: f32,
    /// Covered (masks): the similarity, up to 1, between the face and the same face with its lower half painted over, plus twice
    /// the scatter of its landmarks, is above this.
    pub most_cover: f32,
    /// Covered (dark glasses): the natural logarithm of the ratio between the brightness of the cheeks and of the
    /// eyes is above this.
    pub most_eye_shade: f32,
    /// Covered: the quality, -500 to 300, is below this although no other finding applies.
    pub least_quality: f32,
    /// Too dark: the mean luma, 0 to 255, is below this.
    pub least_luminance: f32,
    /// Too bright: the mean luma, 0 to 255, is above this.
    pub most_luminance: f32,
    /// Too bright: the white share of the face, 0 to 1, is above this.
    pub most_white: f32,
    /// Low contrast: the 5th and the 95th percentile of luma differ by less than this, 0 to 255.
    pub least_contrast: f32,
    /// Blurred: the ratio of fine to coarse gradients is below this. A blurred face has 0.25, a usual one 0.33.
    pub least_sharpness: f32,
}

impl Default for FindingSettings {
    fn default() -> Self {
        Self {
            cropped_margin: -0.1,
            cropped_aspect: 1.05,
            least_margin: 0.1,
            most_eye_part: 0.4,
            least_surroundings: 1.2,
            least_eye_distance: 16.0,
            least_eye_part: 0.015,
            most_yaw: 41.0,
            most_pitch: 42.0,
            most_cover: 0.84,
            most_eye_shade: 1.9,
            least_quality: -300.0,
            least_luminance: 45.0,
            most_luminance: 225.0,
            most_white: 0.4,
            least_contrast: 35.0,
            least_sharpness: 0.284,
        }
    }
}

impl FindingSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let ranges = [
            ("cropped_margin", self.cropped_margin, -1.0..=1.0),
            ("cropped_aspect", self.cropped_aspect, 0.0..=2.0),
            ("least_margin", self.least_margin, self.cropped_margin.max(-1.0)..=1.0),
            ("most_eye_part", self.most_eye_part, 0.0..=1.0),
            ("least_surroundings", self.least_surroundings, 0.0..=4.0),
            ("least_eye_distance", self.least_eye_distance, 0.0..=1000.0),
            ("least_eye_part", self.least_eye_part, 0.0..=1.0),
            ("most_yaw", self.most_yaw, 0.0..=90.0),
            ("most_pitch", self.most_pitch, 0.0..=90.0),
            ("most_cover", self.most_cover, 0.0..=2.0),
            ("most_eye_shade", self.most_eye_shade, 0.0..=6.0),
            ("least_quality", self.least_quality, -500.0..=300.0),
            ("least_luminance", self.least_luminance, 0.0..=255.0),
            ("most_luminance", self.most_luminance, 0.0..=255.0),
            ("most_white", self.most_white, 0.0..=1.0),
            ("least_contrast", self.least_contrast, 0.0..=255.0),
            ("least_sharpness", self.least_sharpness, 0.0..=1.0),
        ];
        match ranges.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((key, _, range)) => {
                invalid(format!("findings.{key} must be from {} to {}", range.start(), range.end()))
            }
            None => Ok(()),
        }
    }
}
