//! The section `face`.

use serde::Deserialize;

use super::error::{SettingsError, invalid};

/// The face algorithm, and the relative size from which a picture has a second face.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct FaceSettings {
    /// Name of the algorithm that the workers run; answers state it as `mode`. A worker with other models does not
    /// start.
    pub algorithm: String,
    /// Version of the templates that the algorithm makes.
    pub template_version: u32,
    /// Ratio of a second face's eye distance to that of the largest face, from which the second face counts, in
    /// pictures to be coded; above 0, at most 1.
    pub second_face_ratio: f32,
    /// The same ratio for live pictures and videos, in which a second person may be an attacker who holds up the
    /// face.
    pub second_live_face_ratio: f32,
    /// The same ratio for the ID photo of PhotoVerify. Documents repeat their portrait as a small ghost image.
    pub second_portrait_ratio: f32,
}

impl Default for FaceSettings {
    fn default() -> Self {
        Self {
            algorithm: "FL1_512".into(),
            template_version: 1,
            second_face_ratio: 0.65,
            second_live_face_ratio: 0.5,
            second_portrait_ratio: 0.75,
        }
    }
}

impl FaceSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let ratios = [
            ("second_face_ratio", self.second_face_ratio),
            ("second_live_face_ratio", self.second_live_face_ratio),
            ("second_portrait_ratio", self.second_portrait_ratio),
        ];
        match ratios.into_iter().find(|(_, ratio)| !(*ratio > 0.0 && *ratio <= 1.0)) {
            Some((key, _)) => invalid(format!("face.{key} must be above 0 and at most 1")),
            None => Ok(()),
        }
    }
}
