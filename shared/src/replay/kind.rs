//! The kinds of replays.

use serde::{Deserialize, Serialize};

/// Kind of liveness that a replay proves, by its name in the API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum LivenessType {
    /// The head follows a sequence of challenges in a video.
    #[serde(rename = "LIVENESS_ACTIVE")]
    Active,
    /// One still, or the best frame of a video.
    #[serde(rename = "LIVENESS_PASSIVE")]
    Passive,
    /// A video in which the person does nothing in particular.
    #[serde(rename = "LIVENESS_PASSIVE_VIDEO")]
    PassiveVideo,
}

impl LivenessType {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "LIVENESS_ACTIVE",
            Self::Passive => "LIVENESS_PASSIVE",
            Self::PassiveVideo => "LIVENESS_PASSIVE_VIDEO",
        }
    }
}
