//! What the manifest says of a model.

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::output::Output;
use super::package::Member;

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
