//! The section `inference`.

use serde::Deserialize;

/// Execution of models.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct InferenceSettings {
    /// `cpu`, `cuda:N` or `tensorrt:N`. The worker does not start if the device is not available.
    pub device: String,
    /// Number of threads that run models; 0 for one thread per core.
    pub sessions: usize,
    /// Number of videos that are judged at the same time, each on a low-priority thread with its own models. With 0
    /// this worker takes no videos.
    pub replay_slots: usize,
}

impl Default for InferenceSettings {
    fn default() -> Self {
        Self { device: "cpu".into(), sessions: 0, replay_slots: 1 }
    }
}
