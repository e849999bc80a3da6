//! Input of a model: its shape, value range and crop.

use serde::{Deserialize, Serialize};

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

/// A model's input: N x C x height x width, `f32`, `(value - mean) * scale` of 8-bit values.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the graph's input.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Order of the channels.
    pub channels: Channels,
    /// Subtracted first: one value a channel, in the order of `channels`, or one value for all.
    pub mean: Vec<f32>,
    /// Multiplied afterwards: one value a channel or one value for all.
    pub scale: Vec<f32>,
    /// The part of the picture that becomes the input.
    pub crop: Crop,
}

impl Input {
    /// Smallest and largest input value of 8-bit pixels.
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

/// The part of the picture that becomes a model's input.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Crop {
    /// The whole picture, stretched.
    Whole,
    /// The face's box, its sides multiplied by `factor` about its centre, stretched.
    Box {
        /// The factor; 1.0 is the detector's box.
        factor: f32,
        /// Take a square of the box's area instead of the box, which avoids stretching.
        #[serde(default)]
        square: bool,
        /// Shrink the crop until it fits the picture, then shift it inside, instead of padding with black.
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
        /// Side of the square over the distance of the eye's corners.
        factor: f32,
    },
}
