//! The head-pose network: estimates from pixels where a head points, independently of the landmarks.

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::face_region::FaceRegion;
use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Kernel, Sampler};

/// Level of the pixels outside the picture: black, as in the pictures that such models are trained on.
const OUTSIDE_LEVEL: u8 = 0;

/// Faces of one run. More of them only take memory.
const FACES_PER_RUN: usize = 8;

/// Direction in which a head points, in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct HeadAngles {
    /// Positive where the nose points to the picture's right.
    pub(crate) yaw: f32,
    /// Positive where the nose points up.
    pub(crate) pitch: f32,
}

/// The head-pose network.
pub(crate) struct HeadPoseEstimator {
    network: Network,
    yaw: Angle,
    pitch: Angle,
    factor: f32,
    square: bool,
}

/// Parameters by which one angle is read from the bins of an output.
struct Angle {
    output: String,
    step: f32,
    offset: f32,
}

impl FaceModel for HeadPoseEstimator {
    const ROLE: Role = Role::HeadPose;
    const FORM: &'static str = "a head-pose model takes a face by its box and gives angles in bins";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (
            Output::BinnedAngles { yaw, pitch, step, offset, .. },
            &Crop::Box { factor, square, keep_inside: false },
        ) = (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        let [yaw, pitch] =
            [yaw, pitch].map(|output| Angle { output: output.clone(), step: *step, offset: *offset });
        Some(Self { network, yaw, pitch, factor, square })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl HeadPoseEstimator {
    /// Estimates the pose of each face.
    pub(crate) fn estimate(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
    ) -> Result<Vec<HeadAngles>, InferenceError> {
        let mut found = Vec::with_capacity(faces.len());
        for faces in faces.chunks(FACES_PER_RUN) {
            self.run(sampler, faces, &mut found)?;
        }
        Ok(found)
    }

    fn run(
        &mut self,
        sampler: &mut Sampler,
        faces: &[FaceRegion<'_>],
        found: &mut Vec<HeadAngles>,
    ) -> Result<(), InferenceError> {
        let mut chip = self.network.chip();
        self.network.begin_batch();
        for face in faces {
            let area = if self.square { face.area.squared() } else { *face.area }.scaled(self.factor);
            let to_upright = chip.to_unit().then(&area.unit_map()).then(&face.frame.to_upright);
            sampler.cut(face.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Linear, &mut chip);
            self.network.push(&chip);
        }
        let outputs = self.network.run()?;
        let read = |angle: &Angle| -> Result<Vec<f32>, InferenceError> {
            let elements = outputs.get(&angle.output)?;
            let bins = (elements.len() / faces.len()).max(1);
            Ok(elements.chunks_exact(bins).map(|row| angle.expected(row)).collect())
        };
        let (yaw, pitch) = (read(&self.yaw)?, read(&self.pitch)?);
        // The network's yaw grows towards the picture's left.
        found.extend(yaw.into_iter().zip(pitch).map(|(yaw, pitch)| HeadAngles { yaw: -yaw, pitch }));
        Ok(())
    }
}

impl Angle {
    /// The expected angle in degrees: the mean of the bins' angles, weighted with their probabilities (Ruiz, Chong and
    /// Rehg 2018).
    fn expected(&self, bins: &[f32]) -> f32 {
        let largest = bins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut total, mut sum) = (0.0, 0.0);
        for (bin, number) in bins.iter().zip(0u16..) {
            let weight = (bin - largest).exp();
            total += weight;
            sum += weight * f32::from(number);
        }
        sum / total * self.step + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_is_the_expectation_over_its_bins() {
        let angle = Angle { output: String::new(), step: 3.0, offset: -99.0 };
        let mut bins = [-30.0; 66];
        bins[33] = 4.0;
        assert!(angle.expected(&bins).abs() < 1e-3);
        bins[43] = 4.0;
        assert!((angle.expected(&bins) - 15.0).abs() < 1e-3);
        bins[43] = 30.0;
        assert!((angle.expected(&bins) - 30.0).abs() < 1e-3, "the softmax is of large logits, too");
    }
}
