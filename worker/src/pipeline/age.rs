//! From a face to an age.

use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::candidate::Candidate;
use super::chip_model::ChipModel;
use super::lazy::Timed;
use crate::inference::{Device, InferenceError, Runtime};
use crate::picture::{Affine, Chip, Kernel, Picture, Sampler};

/// What lies outside of the picture is black; grey, or the border's pixels, give the same.
const GROUND: u8 = 0;

/// The age model.
pub(super) struct AgeEstimator {
    model: ChipModel,
    output: String,
    classes: usize,
    correction: Vec<[f32; 2]>,
    crop: Crop,
}

impl Timed for AgeEstimator {
    fn busy(&self) -> Duration {
        self.model.busy()
    }
}

impl AgeEstimator {
    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let (Output::Years { name, classes, correction }, Crop::Box { .. } | Crop::FivePoints { .. }) =
            (&model.spec.output, &model.spec.input.crop)
        else {
            let reason = "an age model takes a face by its box or five points and gives years".to_owned();
            return Err(InferenceError::Model { model: model.spec.name.clone(), reason });
        };
        Ok(Self {
            model: ChipModel::open(runtime, device, model)?,
            output: name.clone(),
            classes: *classes,
            correction: correction.clone(),
            crop: model.spec.input.crop.clone(),
        })
    }

    /// The age that the face seems to have, in years: the mean of two looks, one of them in a mirror. They differ by 1.3
    /// years on average, and their mean errs 1 % less than one of them.
    pub(super) fn estimate(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<f32, InferenceError> {
        let mut chip = self.cut(sampler, picture, candidate);
        self.model.push(&chip);
        chip.mirror();
        self.model.push(&chip);
        let outputs = self.model.run()?;
        let rows = outputs.get(&self.output)?.chunks_exact(self.classes);
        let looks = rows.len() as f32;
        let expected = rows.map(expectation).sum::<f32>() / looks;
        Ok(corrected(expected, &self.correction))
    }

    fn cut(&self, sampler: &mut Sampler, picture: &Picture, candidate: &Candidate) -> Chip {
        let mut chip = self.model.chip();
        let to_upright = match &self.crop {
            Crop::FivePoints { template } => Affine::similarity(&candidate.five(), template).inverse(),
            Crop::Box { factor, square, .. } => {
                let area = &candidate.detection.area;
                let area = if *square { area.squared() } else { *area }.scaled(*factor);
                chip.to_unit().then(&area.unit_map()).then(&candidate.frame.to_upright)
            }
            _ => return chip,
        };
        sampler.cut(picture, &to_upright, GROUND, Kernel::Linear, &mut chip);
        chip
    }
}

/// The mean of the years, each as often as the model thinks.
fn expectation(years: &[f32]) -> f32 {
    years.iter().zip(0u16..).map(|(part, year)| part * f32::from(year)).sum()
}

/// The age that belongs to an expectation: linear between the points, and beyond their ends as in the first and the
/// last piece, but never negative.
fn corrected(expected: f32, correction: &[[f32; 2]]) -> f32 {
    let end = correction.partition_point(|point| point[0] < expected);
    let piece = end.clamp(1, correction.len().max(2) - 1);
    let Some(&[[x0, y0], [x1, y1]]) = correction.get(piece - 1..=piece).and_then(<[_]>::as_array) else {
        return expected;
    };
    (y0 + (y1 - y0) * (expected - x0) / (x1 - x0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expectation_weighs_years() {
        assert_eq!(expectation(&[0.0, 0.0, 0.0, 1.0]), 3.0);
        assert_eq!(expectation(&[0.5, 0.0, 0.25, 0.25]), 1.25);
    }

    #[test]
    fn a_correction_is_linear_between_its_points_and_goes_on_beyond_them() {
        let correction = [[10.0, 4.0], [20.0, 24.0], [30.0, 54.0]];
        let found = [10.0, 15.0, 20.0, 25.0, 30.0, 31.0, 9.0, 2.0].map(|x| corrected(x, &correction));
        assert_eq!(found, [4.0, 14.0, 24.0, 39.0, 54.0, 57.0, 2.0, 0.0]);
        assert_eq!(corrected(33.0, &[]), 33.0);
    }
}
