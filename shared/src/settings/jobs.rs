//! The section `jobs`.

use std::time::Duration;

use serde::Deserialize;

/// Time limits of jobs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// A caller gets an answer within this time.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// A caller who sends a video (VideoLivenessDetection of BWS) gets an answer within this time.
    #[serde(with = "humantime_serde")]
    pub video_deadline: Duration,
    /// After a signal to stop, a worker finishes jobs in progress for at most this time.
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
