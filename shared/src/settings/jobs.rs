//! The section `jobs`.

use std::time::Duration;

use serde::Deserialize;

/// Time limits of jobs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Time within which a caller gets an answer.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Time within which a caller who sends a video (VideoLivenessDetection of BWS) gets an answer.
    #[serde(with = "humantime_serde")]
    pub video_deadline: Duration,
    /// Maximum time for which a worker finishes jobs in progress after a signal to stop.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            video_deadline: Duration::from_secs(60),
            drain: Duration::from_secs(25),
        }
    }
}
