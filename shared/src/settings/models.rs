//! The section `models`.

use std::path::PathBuf;

use serde::Deserialize;

use super::user_folder::user_folder;

/// A choice of models.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "snake_case")]
pub enum ModelProfile {
    /// Models from package registries only.
    #[default]
    Default,
    /// Two additional liveness networks, which together take about as long as the default one.
    Strong,
}

/// Models and ONNX Runtime.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Folder with the models and ONNX Runtime, filled by `faceline-models fetch`. If neither `HOME` nor
    /// `XDG_CACHE_HOME` is set, the default is `models` in `data_dir`.
    pub dir: PathBuf,
    /// Profile of models: `default`, or `strong` with two additional liveness networks, which `faceline-models fetch
    /// --profile strong` installs. All workers of an installation need the same profile.
    pub profile: ModelProfile,
}

impl Default for ModelSettings {
    fn default() -> Self {
        let folder = user_folder("XDG_CACHE_HOME", ".cache");
        Self {
            dir: folder.map_or_else(PathBuf::new, |folder| folder.join("faceline/models")),
            profile: ModelProfile::Default,
        }
    }
}
