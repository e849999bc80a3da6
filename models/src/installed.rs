//! The record of an installation: its manifest, and every file with size and checksum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::manifest::{Manifest, Model};

/// The record's file name. Provisioning writes the record last, so a folder without it is no installation.
pub(crate) const RECORD: &str = "installed.toml";

/// Size and checksum of an installed file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRecord {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// The record of an installation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Installed {
    /// By path, relative to the cache directory.
    pub(crate) files: BTreeMap<PathBuf, FileRecord>,
    pub(crate) manifest: Manifest,
}

/// `runtime/<version>/libonnxruntime.so`
pub(crate) fn runtime_path(manifest: &Manifest) -> PathBuf {
    Path::new("runtime").join(&manifest.runtime.version).join("libonnxruntime.so")
}

/// `<name>/<version>/model.onnx`
pub(crate) fn model_path(model: &Model) -> PathBuf {
    Path::new(&model.name).join(model.version.to_string()).join("model.onnx")
}

/// `pictures/<name>`
pub(crate) fn picture_path(name: &str) -> PathBuf {
    Path::new("pictures").join(name)
}

/// Every file of a complete installation with its checksum.
pub(crate) fn expected_files(manifest: &Manifest) -> BTreeMap<PathBuf, String> {
    let runtime = (runtime_path(manifest), manifest.runtime.member.sha256.clone());
    let models = manifest.models.iter().map(|model| (model_path(model), model.sha256.clone()));
    let pictures = manifest.pictures.iter().map(|(name, member)| (picture_path(name), member.sha256.clone()));
    models.chain(pictures).chain([runtime]).collect()
}
