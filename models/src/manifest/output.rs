//! What comes out of a model.

use serde::{Deserialize, Serialize};

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

    pub(super) fn check(&self) -> Result<(), &'static str> {
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
