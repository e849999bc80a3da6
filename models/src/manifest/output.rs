//! Outputs of a model: their names, shapes and meaning.

use serde::{Deserialize, Serialize};

/// Interpretation of a model's outputs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Output {
    /// Face scores N x A x 2 (index 1 = face) and boxes N x A x 4 (x1, y1, x2, y2 in 0..1).
    Boxes {
        /// Name of the scores.
        scores: String,
        /// Name of the boxes.
        boxes: String,
        /// Lowest score that counts as a face.
        threshold: f32,
        /// Largest overlap (intersection over union) of two faces in non-maximum suppression.
        nms: f32,
    },
    /// N x 2K coordinates in 0..1 of the crop.
    Points {
        /// Name of the output.
        name: String,
        /// K: the number of points.
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
        /// Version of the templates with this embedding.
        template_version: u32,
        /// Calibration table of this embedding: one of the manifest's `calibrations`, or one that ships with this
        /// crate.
        calibration: String,
        /// Factor that scales the length of this network's raw vectors to that of the shipped embedding. Face search
        /// and quality judge the length, and each network has an arbitrary scale.
        #[serde(default = "unscaled")]
        length_scale: f32,
    },
    /// N x classes before or after softmax. The log-odds of class `index` are ln(p / (1 - p)), where p is its
    /// probability.
    Class {
        /// Name of the output.
        name: String,
        /// The class whose probability is used.
        index: usize,
        /// Whether the output is before softmax, which is then computed here.
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
    /// N x classes after softmax, where class i means i years. The age is the expectation over the classes.
    Years {
        /// Name of the output.
        name: String,
        /// Number of classes.
        classes: usize,
    },
}

fn unscaled() -> f32 {
    1.0
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
}
