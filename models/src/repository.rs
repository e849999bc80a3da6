//! The installed models, as the worker opens them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::installed::{Installed, RECORD, model_path, picture_path, runtime_path};
use crate::liveness::LivenessCalibration;
use crate::manifest::{Manifest, Model, Profile, Role};

/// Models, runtime and pictures that `faceline-models fetch` has installed.
#[derive(Clone, Debug)]
pub struct Repository {
    dir: PathBuf,
    runtime: PathBuf,
    manifest: Manifest,
    /// Installed files, relative to `dir`.
    files: BTreeSet<PathBuf>,
}

/// The file of an installed model with its description.
#[derive(Clone, Debug)]
pub struct InstalledModel<'a> {
    /// `<dir>/<name>/<version>/model.onnx`
    pub path: PathBuf,
    /// The model's entry in the manifest.
    pub spec: &'a Model,
}

/// Reasons why the models cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The cache directory holds no installation.
    #[error("no models are installed in {0}: run `faceline-models fetch`")]
    NotInstalled(PathBuf),
    /// The installation's record cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The record.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The installation's record is from another release, or was edited.
    #[error("{path} is not a record of this release ({reason}): run `faceline-models fetch`")]
    Form {
        /// The record.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A file of the installation is missing or truncated.
    #[error("{path} is missing or has another size: run `faceline-models fetch`")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A model of the profile is not installed.
    #[error(
        "the profile {profile} is not installed, its model {model} is missing: run `faceline-models fetch --profile {profile}`"
    )]
    NotInProfile {
        /// The model.
        model: String,
        /// The setting `models.profile`.
        profile: Profile,
    },
    /// There is no liveness calibration of the configured name.
    #[error(
        "{0} does not exist: run `faceline-models calibrate liveness`, or leave liveness.calibration empty"
    )]
    NoCalibration(PathBuf),
    /// An operator's liveness calibration cannot be used.
    #[error("{path} is no liveness calibration: {reason}")]
    LivenessCalibration {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The manifest has no model for this role.
    #[error("the installed manifest has no model for {0:?}: add one and run `faceline-models fetch`")]
    NoModel(Role),
}

impl Repository {
    /// Opens the cache `dir`. It checks the files' sizes only; `provision::verify` compares checksums.
    ///
    /// # Errors
    /// No models are installed, the record cannot be used, or a file is missing or has another size.
    pub fn open(dir: &Path) -> Result<Self, RepositoryError> {
        let installed = read_record(dir)?;
        for (path, record) in &installed.files {
            let path = dir.join(path);
            if !std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == record.bytes) {
                return Err(RepositoryError::Damaged { path });
            }
        }
        let (manifest, files) = (installed.manifest, installed.files.into_keys().collect());
        Ok(Self { dir: dir.to_owned(), runtime: dir.join(runtime_path(&manifest)), manifest, files })
    }

    /// ONNX Runtime's shared library.
    #[must_use]
    pub fn runtime_library(&self) -> &Path {
        &self.runtime
    }

    /// Version of ONNX Runtime, as in `1.31.1`.
    #[must_use]
    pub fn runtime_version(&self) -> &str {
        &self.manifest.runtime.version
    }

    /// The first model of a role, which is the only one unless several are averaged.
    ///
    /// # Errors
    /// The installed manifest has no model for this role.
    pub fn model(&self, role: Role) -> Result<InstalledModel<'_>, RepositoryError> {
        let spec = self.manifest.model(role).ok_or(RepositoryError::NoModel(role))?;
        Ok(self.installed(spec))
    }

    /// All models of a role in a profile.
    ///
    /// # Errors
    /// The installed manifest has none for this role.
    pub fn models(&self, role: Role, profile: Profile) -> Result<Vec<InstalledModel<'_>>, RepositoryError> {
        let models: Vec<_> =
            self.manifest.models_of(role, profile).map(|spec| self.installed(spec)).collect();
        for model in &models {
            if !self.files.contains(&model_path(model.spec)) {
                let model = model.spec.name.clone();
                return Err(RepositoryError::NotInProfile { model, profile });
            }
        }
        if models.is_empty() { Err(RepositoryError::NoModel(role)) } else { Ok(models) }
    }

    fn installed<'a>(&self, spec: &'a Model) -> InstalledModel<'a> {
        InstalledModel { path: self.dir.join(model_path(spec)), spec }
    }

    /// Reads the liveness calibration that an operator made, `<dir>/liveness-calibrations/<name>.toml`.
    ///
    /// # Errors
    /// There is no such file, or it is not a liveness calibration.
    pub fn operators_calibration(&self, name: &str) -> Result<LivenessCalibration, RepositoryError> {
        let path = liveness_calibration_path(&self.dir, name);
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => RepositoryError::NoCalibration(path.clone()),
            _ => RepositoryError::Read { path: path.clone(), source: error },
        })?;
        LivenessCalibration::parse(&text)
            .map_err(|reason| RepositoryError::LivenessCalibration { path, reason })
    }

    /// The path of one of the free pictures, by name, as in `obama.jpg`.
    #[must_use]
    pub fn picture(&self, name: &str) -> Option<PathBuf> {
        self.manifest.pictures.contains_key(name).then(|| self.dir.join(picture_path(name)))
    }

    /// The installed manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// The file of an operator's liveness calibration in the cache `dir`.
#[must_use]
pub fn liveness_calibration_path(dir: &Path, name: &str) -> PathBuf {
    // The name must stay one path component, even if the settings contain a separator.
    let name = name.replace(['/', '\\'], "_");
    dir.join("liveness-calibrations").join(format!("{name}.toml"))
}

/// Reads the record of the cache `dir`.
pub(crate) fn read_record(dir: &Path) -> Result<Installed, RepositoryError> {
    let path = dir.join(RECORD);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(RepositoryError::NotInstalled(dir.to_owned()));
        }
        Err(source) => return Err(RepositoryError::Read { path, source }),
    };
    let installed: Installed = toml::from_str(&text)
        .map_err(|error| RepositoryError::Form { path: path.clone(), reason: error.to_string() })?;
    installed.manifest.check().map_err(|error| RepositoryError::Form { path, reason: error.to_string() })?;
    Ok(installed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installed::{FileRecord, expected_files};

    fn install(dir: &Path) {
        let manifest = Manifest::default_manifest().unwrap();
        let files = expected_files(&manifest);
        for path in files.keys() {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "12345").unwrap();
        }
        let files = files.into_iter().map(|(path, sha256)| (path, FileRecord { bytes: 5, sha256 })).collect();
        std::fs::write(dir.join(RECORD), toml::to_string(&Installed { files, manifest }).unwrap()).unwrap();
    }

    #[test]
    fn every_part_of_an_installation_is_found() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path());
        let repository = Repository::open(dir.path()).unwrap();
        assert!(repository.runtime_library().ends_with("runtime/1.31.1/libonnxruntime.so"));
        assert_eq!(repository.runtime_version(), "1.31.1");
        let detector = repository.model(Role::Detector).unwrap();
        assert_eq!(detector.path, dir.path().join("face-detector/1/model.onnx"));
        assert_eq!((detector.spec.input.width, detector.spec.input.height), (320, 240));
        assert_eq!(repository.picture("obama.jpg"), Some(dir.path().join("pictures/obama.jpg")));
        assert_eq!(repository.picture("../installed.toml"), None);
    }

    #[test]
    fn an_absent_installation_says_what_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let error = Repository::open(dir.path()).unwrap_err();
        assert!(matches!(error, RepositoryError::NotInstalled(_)));
        assert!(error.to_string().contains("faceline-models fetch"));
    }

    #[test]
    fn a_file_that_is_gone_or_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path());
        let model = dir.path().join("face-embedding/1/model.onnx");
        std::fs::write(&model, "1234").unwrap();
        assert!(
            matches!(Repository::open(dir.path()), Err(RepositoryError::Damaged { path }) if path == model)
        );
        std::fs::remove_file(&model).unwrap();
        assert!(matches!(Repository::open(dir.path()), Err(RepositoryError::Damaged { .. })));
    }

    #[test]
    fn a_record_of_another_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(RECORD), "release = 9").unwrap();
        assert!(matches!(Repository::open(dir.path()), Err(RepositoryError::Form { .. })));
    }
}
