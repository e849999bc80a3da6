//! The passive liveness network (presentation attack detection, PAD): tells from a single picture whether it shows a
//! living person, or a print or a screen. Also its crop, [`PassiveLiveness::cut`].

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::face_region::FaceRegion;
use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Chip, Kernel, Sampler};
use crate::pipeline::geometry::Rect;

/// Level of the pixels outside the picture: black. A crop that is kept inside has none of them.
const OUTSIDE_LEVEL: u8 = 0;

/// Log-odds are clamped to this bound at each side; beyond it, scores no longer differ in `f32`.
const MAX_LOG_ODDS: f32 = 30.0;

/// Passes over a face: a plain and a mirrored one (test-time augmentation).
const PASSES_PER_FACE: usize = 2;

/// The network for presentation attack detection (ISO/IEC 30107).
pub(crate) struct PassiveLiveness {
    network: Network,
    output: String,
    reading: Reading,
    factor: f32,
    square: bool,
    keep_inside: bool,
}

/// How the model's output is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    index: usize,
    softmax: bool,
    scale: f32,
    offset: f32,
}

impl FaceModel for PassiveLiveness {
    const ROLE: Role = Role::Liveness;
    const FORM: &'static str = "a liveness model takes a face by its box and gives classes";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (&Output::Class { ref name, index, softmax }, &Crop::Box { factor, square, keep_inside }) =
            (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        let output = name.clone();
        let reading = Reading { index, softmax, scale: 0.6, offset: 0.3 };
        Some(Self { network, output, reading, factor, square, keep_inside })
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

impl PassiveLiveness {
    /// The liveness score of each face, above 0 and at most 1, in one run of the network.
    pub(crate) fn score(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
    ) -> Result<Vec<f32>, InferenceError> {
        let reading = self.reading;
        Ok(self.log_odds(sampler, faces)?.into_iter().map(|log_odds| reading.score(log_odds)).collect())
    }

    /// The logit of the liveness score that belongs to log-odds of the live class.
    pub(crate) fn logit_of(&self, log_odds: f32) -> f32 {
        self.reading.scale * log_odds + self.reading.offset
    }

    /// Log-odds of the live class for each face, the mean of both passes, in one run of the network.
    pub(crate) fn log_odds(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
    ) -> Result<Vec<f32>, InferenceError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let mut chip = self.network.chip();
        self.network.begin_batch();
        for face in faces {
            self.cut(sampler, face, &mut chip);
            self.network.push(&chip);
            chip.mirror();
            self.network.push(&chip);
        }
        let reading = self.reading;
        let outputs = self.network.run()?;
        let elements = outputs.get(&self.output)?;
        let classes = elements.len() / (faces.len() * PASSES_PER_FACE);
        let log_odds: Vec<f32> = elements.chunks_exact(classes).map(|row| reading.log_odds(row)).collect();
        let mean = |passes: &[f32]| passes.iter().sum::<f32>() / PASSES_PER_FACE as f32;
        Ok(log_odds.chunks_exact(PASSES_PER_FACE).map(mean).collect())
    }

    /// The crop of passive liveness: the detector's box, made square and widened as the manifest says, and moved inside
    /// the picture where the manifest asks for it.
    fn cut(&self, sampler: &mut Sampler, face: &FaceRegion<'_>, chip: &mut Chip) {
        let frame = face.frame;
        let area = if self.square { face.area.squared() } else { *face.area };
        let area = if self.keep_inside {
            kept_inside(&area, self.factor, frame.width, frame.height)
        } else {
            area.scaled(self.factor)
        };
        let to_upright = chip.to_unit().then(&area.unit_map()).then(&frame.to_upright);
        // A filtered chip would lose the fine detail that distinguishes a print or a screen from skin.
        sampler.cut(face.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Sparse, chip);
    }
}

/// A box widened by `factor`, or by less where it would not fit a picture of `width` by `height`, and moved inside.
fn kept_inside(area: &Rect, factor: f32, width: f32, height: f32) -> Rect {
    let fits = factor.min(width / area.width()).min(height / area.height());
    let wide = area.scaled(fits);
    let left = wide.left.clamp(0.0, (width - wide.width()).max(0.0));
    let top = wide.top.clamp(0.0, (height - wide.height()).max(0.0));
    Rect::new(left, top, wide.width(), wide.height())
}

impl Reading {
    /// Log-odds of the live class in one row of classes, between minus and plus [`MAX_LOG_ODDS`].
    fn log_odds(&self, row: &[f32]) -> f32 {
        let value = row.get(self.index).copied().unwrap_or_default();
        let others = row.iter().enumerate().filter(|(index, _)| *index != self.index).map(|(_, other)| other);
        let odds = if self.softmax {
            -others.map(|other| (other - value).exp()).sum::<f32>().ln()
        } else {
            (value / (1.0 - value)).ln()
        };
        if odds.is_nan() { -MAX_LOG_ODDS } else { odds.clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS) }
    }

    /// The score of log-odds: above 0, at most 1.
    fn score(&self, log_odds: f32) -> f32 {
        1.0 / (1.0 + (-(self.scale * log_odds + self.offset)).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_shrunk_until_it_fits_and_then_moved_inside() {
        let area = Rect::new(40.0, 30.0, 20.0, 30.0);
        let free = kept_inside(&area, 2.0, 200.0, 200.0);
        assert_eq!(free, Rect::new(30.0, 15.0, 40.0, 60.0));
        let low = kept_inside(&area, 3.0, 200.0, 200.0);
        assert_eq!(low, Rect::new(20.0, 0.0, 60.0, 90.0));
        let tight = kept_inside(&area, 3.0, 100.0, 60.0);
        assert_eq!(tight, Rect::new(30.0, 0.0, 40.0, 60.0));
    }

    const READING: Reading = Reading { index: 0, softmax: true, scale: 1.0, offset: 0.0 };

    #[test]
    fn without_a_scale_the_score_is_the_probability() {
        let score = |reading: Reading, row: &[f32]| reading.score(reading.log_odds(row));
        assert!((score(READING, &[1.0, 1.0, 1.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert!((score(READING, &[2.0, 0.0]) - 0.880_797).abs() < 1e-5);
        let done = Reading { index: 1, softmax: false, ..READING };
        assert!((score(done, &[0.2, 0.8]) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn scale_and_offset_move_the_thresholds_and_keep_the_order() {
        let reading = Reading { scale: 0.5, offset: 0.2, ..READING };
        assert!((reading.score(-0.4) - 0.5).abs() < 1e-6);
        let scores = [-20.0, -3.0, 0.0, 2.0, 9.0].map(|odds| reading.score(odds));
        assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
    }

    #[test]
    fn whatever_a_model_says_is_a_score() {
        for row in [[-300.0, 300.0], [300.0, -300.0], [f32::INFINITY, 0.0], [f32::NAN, 0.0], [0.0, f32::NAN]]
        {
            for reading in [READING, Reading { softmax: false, scale: 7.0, ..READING }] {
                let score = reading.score(reading.log_odds(&row));
                assert!(score > 0.0 && score <= 1.0, "{row:?}: {score}");
            }
        }
    }
}
