//! The section `models`.

use std::path::PathBuf;

use serde::Deserialize;

use super::user_folder::user_folder;

/// Models and ONNX Runtime.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Folder with the models and ONNX Runtime, which `faceline-models fetch` fills. Where `HOME` and `XDG_CACHE_HOME` are not
    /// set, the default is `models` in `data_dir`.
    pub dir: PathBuf,
}

impl Default for ModelSettings {
    fn default() -> Self {
        let folder = user_folder("XDG_CACHE_HOME", ".cache");
        Self { dir: folder.map_or_else(PathBuf::new, |folder| folder.join("faceline/models")) }
    }
}
