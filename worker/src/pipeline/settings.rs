//! The settings that the pipeline takes from the configuration.

use faceline_shared::settings::FindingSettings;

use crate::picture::PictureLimits;

/// Settings of a [`Pipeline`](super::Pipeline).
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// Limits of a picture's size and decoding time.
    pub limits: PictureLimits,
    /// In a picture to be coded, a second face counts if its eye distance is at least this part of the largest face's.
    pub second_face: f32,
    /// The same ratio for live pictures and videos.
    pub second_live_face: f32,
    /// The same ratio for a photo that live pictures are compared with.
    pub second_portrait: f32,
    /// Bounds beyond which a live picture has a finding.
    pub findings: FindingSettings,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            limits: PictureLimits::default(),
            second_face: 0.65,
            second_live_face: 0.5,
            second_portrait: 0.75,
            findings: FindingSettings::default(),
        }
    }
}
