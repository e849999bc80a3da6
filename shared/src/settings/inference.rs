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
}

impl Default for InferenceSettings {
    fn default() -> Self {
        Self { device: "cpu".into(), sessions: 0 }
    }
}
