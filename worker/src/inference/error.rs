//! Errors of ONNX Runtime, its models and its devices.

use std::path::PathBuf;

use super::Device;

/// Failure of the library, a model or a run. A picture is never the cause.
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
    /// The file is not ONNX Runtime, or has another version.
    #[error("{path} is not ONNX Runtime {expected}")]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The version that the manifest names.
        expected: String,
    },
    /// The system's loader refused the library, or the library failed to initialise.
    #[error("cannot load ONNX Runtime from {path}: {reason}")]
    Load {
        /// The file.
        path: PathBuf,
        /// The message of the loader, the provider or ONNX Runtime.
        reason: String,
    },
    /// The process has already loaded ONNX Runtime from another file.
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
    /// The execution provider does not start, for example because its driver is missing.
    #[error("the execution provider for {device} does not start: {reason}")]
    Provider {
        /// The device asked for.
        device: Device,
        /// The message of the loader, the provider or ONNX Runtime.
        reason: String,
    },
    /// A model does not load, or is not what the manifest says.
    #[error("the model {model} cannot be used: {reason}")]
    Model {
        /// The model's name.
        model: String,
        /// The problem with the model.
        reason: String,
    },
    /// A run failed.
    #[error("the model {model} failed: {reason}")]
    Run {
        /// The model's name.
        model: String,
        /// The message of the loader, the provider or ONNX Runtime.
        reason: String,
    },
}
