//! The section `inference`.

use serde::Deserialize;

/// How models are run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct InferenceSettings {
    /// `cpu`, `cuda:N` or `tensorrt:N`. A device that is not available ends the start.
    pub device: String,
    /// Threads that run models. With 0 there are as many as cores.
    pub sessions: usize,
    /// Videos that are judged at the same time, each on a thread with models of its own and with a lower priority. With 0 this worker
    /// takes no videos.
    pub replay_slots: usize,
}

impl Default for InferenceSettings {
    fn default() -> Self {
        Self { device: "cpu".into(), sessions: 0, replay_slots: 1 }
    }
}
