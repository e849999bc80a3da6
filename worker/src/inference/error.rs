//! What can go wrong between the worker and ONNX Runtime.

use std::path::PathBuf;

use super::Device;

/// Why a library, a model or a run failed. None of them is a picture's fault.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The library's file cannot be read.
    #[error("cannot read ONNX Runtime's library {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is something else, or of another version.
    #[error("{path} is not ONNX Runtime {expected}")]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The version that the manifest names.
        expected: String,
    },
    /// The system's loader or the library itself refused.
    #[error("cannot load ONNX Runtime from {path}: {reason}")]
    Load {
        /// The file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
    /// A process holds one ONNX Runtime for its whole life.
    #[error("ONNX Runtime is already loaded from {loaded}, so {asked} cannot be")]
    AnotherIsLoaded {
        /// The file in use.
        loaded: PathBuf,
        /// The file asked for.
        asked: PathBuf,
    },
    /// The library was built without the device's execution provider.
    #[error("this build of ONNX Runtime has no execution provider for {0}")]
    NoProvider(Device),
    /// The execution provider does not start, for example for want of its driver.
    #[error("the execution provider for {device} does not start: {reason}")]
    Provider {
        /// The device asked for.
        device: Device,
        /// What was said.
        reason: String,
    },
    /// A model does not load, or is not what the manifest says.
    #[error("the model {model} cannot be used: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A run failed.
    #[error("the model {model} failed: {reason}")]
    Run {
        /// Its name.
        model: String,
        /// What was said.
        reason: String,
    },
}
