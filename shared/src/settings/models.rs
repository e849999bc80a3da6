//! The section `models`.

use std::path::PathBuf;

use serde::Deserialize;

use super::user_folder::user_folder;

/// A choice of models.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "snake_case")]
pub enum ModelProfile {
    /// Models of package registries only.
    #[default]
    Default,
    /// Two more liveness networks, which take about as long again as the default one.
    Strong,
}

/// Models and ONNX Runtime.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Folder with the models and ONNX Runtime, which `faceline-models fetch` fills. Where `HOME` and `XDG_CACHE_HOME` are not
    /// set, the default is `models` in `data_dir`.
    pub dir: PathBuf,
    /// Which models run: `default`, or `strong` with two more liveness networks, which `faceline-models fetch --profile strong` installs. All
    /// workers of an installation need the same.
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
