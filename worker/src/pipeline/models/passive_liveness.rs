//! The passive liveness networks (presentation attack detection, PAD). They decide from a single picture whether it
//! shows a living person, or a print or a screen.

use std::time::Duration;

use faceline_models::liveness::LivenessCalibration;
use faceline_models::manifest::{Crop, Model, Output, Role};

use super::face_region::FaceRegion;
use super::installed::{Models, Openable, open_all};
use super::network::{FaceModel, Network, mean};
use crate::inference::InferenceError;
use crate::picture::{Chip, Kernel, Sampler};
use crate::pipeline::geometry::Rect;

/// Level of the pixels outside the picture: black. A crop that is kept inside has none of them.
const OUTSIDE_LEVEL: u8 = 0;

/// Log-odds are clamped to this bound at each side; beyond it, scores no longer differ in `f32`.
const MAX_LOG_ODDS: f32 = 30.0;

/// Passes over a face: a plain and a mirrored one (test-time augmentation).
const PASSES_PER_FACE: usize = 2;

/// All passive liveness networks (ISO/IEC 30107) with the calibration of their mean. The plain mean of their log-odds separates
/// unseen sources better than a weighted mean, or the smallest.
pub(crate) struct PassiveLiveness {
    networks: Vec<LivenessNetwork>,
    calibration: LivenessCalibration,
}

/// One passive liveness network.
pub(crate) struct LivenessNetwork {
    network: Network,
    output: String,
    reading: Reading,
    factor: f32,
    square: bool,
    keep_inside: bool,
}

/// Parameters by which the model's output is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    index: usize,
    softmax: bool,
}

impl FaceModel for LivenessNetwork {
    const ROLE: Role = Role::Liveness;
    const FORM: &'static str = "a liveness model takes a face by its box and gives classes";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (&Output::Class { ref name, index, softmax }, &Crop::Box { factor, square, keep_inside }) =
            (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        let output = name.clone();
        Some(Self { network, output, reading: Reading { index, softmax }, factor, square, keep_inside })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Openable for PassiveLiveness {
    fn open(models: &Models) -> Result<Self, InferenceError> {
        Ok(Self { networks: open_all(models)?, calibration: models.liveness_calibration().clone() })
    }

    fn model_time(&self) -> Duration {
        self.networks.iter().map(FaceModel::model_time).sum()
    }
}

impl PassiveLiveness {
    /// The liveness score of a face in a still, above 0 and at most 1, from the log-odds of all networks.
    pub(crate) fn score(&self, log_odds: &[f32]) -> f32 {
        self.calibration.still.score(mean(log_odds))
    }

    /// The calibration of the networks' mean.
    pub(crate) fn calibration(&self) -> &LivenessCalibration {
        &self.calibration
    }

    /// Log-odds of the live class for each face, the mean of all networks.
    pub(crate) fn log_odds(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
    ) -> Result<Vec<f32>, InferenceError> {
        let each = self.log_odds_of_each(sampler, faces)?;
        Ok(each.iter().map(|networks| mean(networks)).collect())
    }

    /// Log-odds of the live class for each face, from each network.
    pub(crate) fn log_odds_of_each(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut found = vec![Vec::with_capacity(self.networks.len()); faces.len()];
        for network in &mut self.networks {
            for (of_face, log_odds) in found.iter_mut().zip(network.log_odds(sampler, faces)?) {
                of_face.push(log_odds);
            }
        }
        Ok(found)
    }
}

impl LivenessNetwork {
    /// Log-odds of the live class for each face, the mean of both passes, in one run of the network.
    fn log_odds(
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

/// Side of the widest square crop that a picture of `width` by `height` holds, in sides of the face: of the square of the area
/// of the detector's box.
pub(crate) fn surroundings(area: &Rect, width: f32, height: f32) -> f32 {
    fitting_factor(&area.squared(), f32::INFINITY, width, height)
}

/// Factor by which a box can be widened within a picture of `width` by `height`, at most `factor`.
fn fitting_factor(area: &Rect, factor: f32, width: f32, height: f32) -> f32 {
    factor.min(width / area.width()).min(height / area.height())
}

/// A box widened by `factor`, or by less where it would not fit a picture of `width` by `height`, and moved inside.
fn kept_inside(area: &Rect, factor: f32, width: f32, height: f32) -> Rect {
    let fits = fitting_factor(area, factor, width, height);
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

    #[test]
    fn surroundings_are_the_shorter_side_in_faces() {
        let area = Rect::new(40.0, 30.0, 40.0, 62.5);
        assert_eq!(surroundings(&area, 300.0, 200.0), 4.0);
        assert_eq!(surroundings(&area, 100.0, 900.0), 2.0);
    }

    #[test]
    fn log_odds_are_those_of_the_class_against_all_others() {
        let before = Reading { index: 0, softmax: true };
        let after = Reading { index: 1, softmax: false };
        assert!((before.log_odds(&[1.0, 1.0, 1.0]) + 2f32.ln()).abs() < 1e-6);
        assert!((before.log_odds(&[2.0, 0.0]) - 2.0).abs() < 1e-6);
        assert!((after.log_odds(&[0.2, 0.8]) - 4f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn whatever_a_model_says_is_bounded() {
        for row in [[-300.0, 300.0], [300.0, -300.0], [f32::INFINITY, 0.0], [f32::NAN, 0.0], [0.0, f32::NAN]]
        {
            for softmax in [true, false] {
                let log_odds = Reading { index: 0, softmax }.log_odds(&row);
                assert!(log_odds.abs() <= MAX_LOG_ODDS, "{row:?}: {log_odds}");
            }
        }
    }
}
