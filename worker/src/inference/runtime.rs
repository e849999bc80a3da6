//! ONNX Runtime's library in this process.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use faceline_models::onnx::{GraphRunner, RunnerError, Tensor};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::value::TensorRef;

use super::InferenceError;
use super::options::cpu_options;

/// ONNX Runtime, loaded and initialised. A process loads it once and keeps it until its end.
#[derive(Debug)]
pub struct Runtime {
    library: PathBuf,
    environment: Environment,
}

static LOADED: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

impl Runtime {
    /// Loads the library, after checking that it is one and has the `expected_version` (as in `1.31.1`).
    ///
    /// The check only reads the file, so code of a wrong library never runs.
    ///
    /// # Errors
    /// [`InferenceError::Unreadable`], [`InferenceError::WrongVersion`], [`InferenceError::Load`], or
    /// [`InferenceError::AnotherIsLoaded`] if this process has loaded a library from another path.
    pub fn load(library: &Path, expected_version: &str) -> Result<Arc<Self>, InferenceError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.library == library {
                return Ok(Arc::clone(runtime));
            }
            return Err(InferenceError::AnotherIsLoaded {
                loaded: runtime.library.clone(),
                asked: library.to_owned(),
            });
        }
        if !has_version(library, expected_version)
            .map_err(|source| InferenceError::Unreadable { path: library.to_owned(), source })?
        {
            return Err(InferenceError::WrongVersion {
                path: library.to_owned(),
                expected: expected_version.to_owned(),
            });
        }
        let failed = |reason: String| InferenceError::Load { path: library.to_owned(), reason };
        let environment = ort::init_from(library)
            .map_err(|error| failed(error.to_string()))?
            .with_name("faceline")
            // Not enough by itself: see the module `telemetry`.
            .with_telemetry(false)
            .with_logger(Arc::new(forward_log))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let runtime = Arc::new(Self { library: library.to_owned(), environment });
        *loaded = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Runs a graph on the CPU. The model tool uses it to prove that a converted model computes the same as the original.
impl GraphRunner for Runtime {
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        let mut session = cpu_options(&self.environment)?.commit_from_memory(model)?;
        let inputs = inputs
            .iter()
            .map(|input| {
                let values = TensorRef::from_array_view((input.shape.clone(), input.data.as_slice()))?;
                Ok((input.name.as_str(), values))
            })
            .collect::<Result<Vec<_>, ort::Error>>()?;
        let outputs = session.run(inputs)?;
        outputs
            .iter()
            .map(|(name, value)| {
                let (shape, data) = value.try_extract_tensor::<f32>()?;
                let shape = shape.iter().map(|&axis| axis as usize).collect();
                Ok(Tensor { name: name.to_owned(), shape, data: data.to_vec() })
            })
            .collect()
    }
}

fn forward_log(level: LogLevel, _category: &str, _id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::debug!(location, message, "onnxruntime"),
        LogLevel::Warning => tracing::warn!(location, message, "onnxruntime"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(location, message, "onnxruntime"),
    }
}

/// Whether the file is a shared object that exports ONNX Runtime's symbols under this version.
///
/// On Linux the library is linked with a version script. The name of its only version node, such as `VERS_1.31.1`, is
/// in the dynamic string table.
fn has_version(library: &Path, version: &str) -> std::io::Result<bool> {
    let mut file = BufReader::new(File::open(library)?);
    let mut magic = [0; 4];
    if file.read(&mut magic)? < magic.len() || magic != *b"\x7fELF" {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let node = format!("\0VERS_{version}\0");
    Ok(memchr::memmem::find(&bytes, node.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let error = Runtime::load(Path::new("/nowhere/libonnxruntime.so"), "1.31.1").unwrap_err();
        assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
    }

    #[test]
    fn another_file_and_another_version_are_refused_before_anything_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        for content in [b"".as_slice(), b"#!/bin/sh", b"\x7fELF....\0VERS_1.30.0\0"] {
            std::fs::write(&path, content).unwrap();
            let error = Runtime::load(&path, "1.31.1").unwrap_err();
            assert!(matches!(error, InferenceError::WrongVersion { .. }), "{error}");
        }
    }
}
