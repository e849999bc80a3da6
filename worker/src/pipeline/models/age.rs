//! The age networks: estimate the age of a face. The age is the corrected mean of all networks.

use faceline_models::manifest::{AgeCorrection, Crop, Model, Output, Role};

use super::face_region::FaceRegion;
use super::installed::{Models, Openable, open_all};
use super::network::{FaceModel, Network, mean};
use crate::inference::InferenceError;
use crate::picture::{Affine, Chip, Kernel, Sampler};

/// Level of the pixels outside the picture: black. Grey and the border's pixels give the same ages.
const OUTSIDE_LEVEL: u8 = 0;

/// All age networks of the manifest. Networks that were trained on different data err differently, so their mean errs less.
pub(crate) struct AgeEstimator {
    networks: Vec<AgeNetwork>,
    correction: AgeCorrection,
}

/// One age network.
pub(crate) struct AgeNetwork {
    network: Network,
    output: String,
    classes: usize,
    crop: Crop,
}

impl FaceModel for AgeNetwork {
    const ROLE: Role = Role::Age;
    const FORM: &'static str = "an age model takes a face by its box or five points and gives years";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (Output::Years { name, classes }, Crop::Box { .. } | Crop::FivePoints { .. }) =
            (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        Some(Self { network, output: name.clone(), classes: *classes, crop: spec.input.crop.clone() })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Openable for AgeEstimator {
    fn open(models: &Models) -> Result<Self, InferenceError> {
        Ok(Self { networks: open_all(models)?, correction: models.age_correction().clone() })
    }

    fn model_time(&self) -> std::time::Duration {
        self.networks.iter().map(FaceModel::model_time).sum()
    }
}

impl AgeEstimator {
    /// The apparent age in years, from the estimates of all networks.
    pub(crate) fn combined(&self, estimates: &[f32]) -> f32 {
        self.correction.apply(mean(estimates))
    }

    /// The estimate of each network for a face in years, without the correction.
    pub(crate) fn estimate_each(
        &mut self,
        sampler: &mut Sampler,
        face: &FaceRegion<'_>,
    ) -> Result<Vec<f32>, InferenceError> {
        self.networks.iter_mut().map(|network| network.estimate(sampler, face)).collect()
    }
}

impl AgeNetwork {
    /// The mean of a plain and a mirrored pass (test-time augmentation), in years.
    fn estimate(&mut self, sampler: &mut Sampler, face: &FaceRegion<'_>) -> Result<f32, InferenceError> {
        let mut chip = self.cut(sampler, face);
        self.network.begin_batch();
        self.network.push(&chip);
        chip.mirror();
        self.network.push(&chip);
        let outputs = self.network.run()?;
        let passes: Vec<f32> =
            outputs.get(&self.output)?.chunks_exact(self.classes).map(expectation).collect();
        Ok(mean(&passes))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expectation_weighs_years() {
        assert_eq!(expectation(&[0.0, 0.0, 0.0, 1.0]), 3.0);
        assert_eq!(expectation(&[0.5, 0.0, 0.25, 0.25]), 1.25);
    }

    #[test]
    fn all_estimates_count_alike() {
        assert_eq!(mean(&[20.0, 26.0]), 23.0);
        assert_eq!(mean(&[]), 0.0);
    }
}
