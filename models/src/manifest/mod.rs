//! The manifest: the models with their sources, inputs and outputs.
//!
//! To use another ONNX file, an operator edits the manifest. The code need not change if these terms can describe the
//! model's input and output.

#[cfg(test)]
mod age_chip_tests;
mod age_correction;
mod document;
mod input;
mod model;
mod output;
mod package;

pub use self::age_correction::AgeCorrection;
pub use self::document::{DEFAULT_MANIFEST, Manifest, ManifestError, Runtime};
pub use self::input::{Channels, Crop, Input};
pub use self::model::{Conversion, Model, Profile, Role};
pub use self::output::Output;
pub use self::package::{Member, Package, Registry, Wheel};
