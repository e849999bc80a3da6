//! The manifest: which models there are, where they come from, and what goes in and out of them.
//!
//! A user who brings another ONNX file edits the manifest. The code does not change for a model whose input and output these
//! terms describe.

mod document;
mod input;
mod model;
mod output;
mod package;

pub use self::document::{DEFAULT_MANIFEST, Manifest, ManifestError, Runtime};
pub use self::input::{Channels, Crop, Input};
pub use self::model::{Conversion, Model, Role};
pub use self::output::Output;
pub use self::package::{Member, Package, Registry, Wheel};
