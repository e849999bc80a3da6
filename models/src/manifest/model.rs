//! A model in the manifest.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::output::Output;
use super::package::Member;

/// The purpose of a model.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds faces in a picture.
    Detector,
    /// Finds 68 landmarks in a face.
    Landmarks,
    /// Computes the embedding of an aligned face.
    Embedding,
    /// Distinguishes a bona fide face from a presentation attack.
    Liveness,
    /// Estimates yaw, pitch and roll of a head.
    HeadPose,
    /// Distinguishes an open eye from a closed one.
    EyeOpen,
    /// Estimates the age that a person seems to have.
    Age,
}

impl Role {
    /// The name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Landmarks => "landmarks",
            Self::Embedding => "embedding",
            Self::Liveness => "liveness",
            Self::HeadPose => "head_pose",
            Self::EyeOpen => "eye_open",
            Self::Age => "age",
        }
    }
}

/// A choice of models: `strong` has those of `default` and more, which judge better and take longer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Models from package registries only.
    #[default]
    Default,
    /// Also the models that are marked with `profile = "strong"`.
    Strong,
}

impl fmt::Display for Profile {
    /// The name in settings, manifests and command lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Strong => "strong",
        })
    }
}

/// One model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its purpose. Several models may have the role [`Role::Liveness`] or [`Role::Age`].
    pub role: Role,
    /// The smallest profile that has this model.
    #[serde(default)]
    pub profile: Profile,
    /// Its name. The model is installed as `<name>/<version>/model.onnx`.
    pub name: String,
    /// Version of the installed file, which rises when the source or its conversion changes.
    pub version: u32,
    /// The file as published.
    pub source: Member,
    /// The file with the weights of a TensorFlow.js graph model. In this case `source` is the model's JSON file, and
    /// provisioning first converts both files to one ONNX file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Member>,
    /// Name of a table in the crate's `reference/` folder with outputs that another implementation computed. For models
    /// whose original does not run in ONNX Runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Conversions of the graph, in this order.
    #[serde(default)]
    pub conversions: Vec<Conversion>,
    /// SHA-256 of the file as installed (conversion is deterministic), lower-case hex.
    pub sha256: String,
    /// The model's input.
    pub input: Input,
    /// The model's outputs.
    pub output: Output,
}

impl Role {
    /// Whether the outputs of several models of this role are averaged. Every other role has exactly one model.
    #[must_use]
    pub fn is_averaged(self) -> bool {
        matches!(self, Self::Liveness | Self::Age)
    }
}

impl Model {
    /// Every source file of the model.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.source).chain(&self.weights)
    }
}

/// A conversion of a graph that does not change its results.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// Makes the leading axis of inputs and outputs a parameter, for batches of several faces.
    DynamicBatch,
    /// Replaces `PRelu` by `Max` and arithmetic, which ONNX Runtime computes without branches. Rounds as the original
    /// does.
    PreluToMax,
    /// Replaces `PRelu` by two depthwise 1x1 convolutions, which keep ONNX Runtime's blocked layout. Faster than `Max`
    /// where the number of channels is a multiple of 16, and equal to the original except for rounding.
    PreluToConv,
    /// Sets weights below 1e-15 to zero. This avoids subnormal products, which processors compute slowly.
    FlushNegligible,
    /// Removes inner channels with a constant value, and adds channels of zeros up to a multiple of 16.
    FitChannels,
}
