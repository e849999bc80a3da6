//! The 68 points of a face.

use std::sync::Arc;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::frame::Frame;
use super::normaliser::Normaliser;
use super::rect::Rect;
use crate::inference::{Device, InferenceError, Runtime, Session};
use crate::picture::{Chip, Picture, Sampler};

/// Points of the iBUG scheme: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
const COUNT: usize = 68;

/// What lies outside of the picture is black, as in the pictures that such models are trained on.
const GROUND: u8 = 0;

/// Landmarks of one face, in the coordinates of a frame.
#[derive(Clone, Debug)]
pub(super) struct Landmarks(pub(super) [[f32; 2]; COUNT]);

impl Landmarks {
    fn mean(&self, indices: &[usize]) -> [f32; 2] {
        let sum = indices.iter().fold([0.0, 0.0], |sum, &i| [sum[0] + self.0[i][0], sum[1] + self.0[i][1]]);
        sum.map(|value| value / indices.len() as f32)
    }

    /// Centres of the eye at the picture's left and of the other one: the means of their lids' inner points.
    pub(super) fn eyes(&self) -> [[f32; 2]; 2] {
        [self.mean(&[37, 38, 40, 41]), self.mean(&[43, 44, 46, 47])]
    }

    pub(super) fn eye_distance(&self) -> f32 {
        let [left, right] = self.eyes();
        (right[0] - left[0]).hypot(right[1] - left[1])
    }

    /// Eyes, nose tip, corners of the mouth.
    pub(super) fn five(&self) -> [[f32; 2]; 5] {
        let [left, right] = self.eyes();
        [left, right, self.0[30], self.mean(&[48, 60]), self.mean(&[54, 64])]
    }
}

/// The landmark model.
pub(super) struct Landmarker {
    session: Session,
    normaliser: Normaliser,
    output: String,
    factor: f32,
    chip: Chip,
    tensor: Vec<f32>,
}

impl Landmarker {
    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let (Output::Points { name, count: COUNT }, Crop::Box { factor, keep_inside: false }) =
            (&model.spec.output, &model.spec.input.crop)
        else {
            let reason = format!("a landmark model takes a face's box and gives {COUNT} points");
            return Err(InferenceError::Model { model: model.spec.name.clone(), reason });
        };
        let input = &model.spec.input;
        Ok(Self {
            session: Session::open(runtime, device, &model.path, model.spec)?,
            normaliser: Normaliser::new(input),
            output: name.clone(),
            factor: *factor,
            chip: Chip { width: input.width, height: input.height, pixels: Vec::new() },
            tensor: Vec::new(),
        })
    }

    /// Finds the landmarks in each of the boxes, in one batch.
    pub(super) fn locate(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        boxes: &[Rect],
    ) -> Result<Vec<Landmarks>, InferenceError> {
        if boxes.is_empty() {
            return Ok(Vec::new());
        }
        self.tensor.clear();
        for area in boxes {
            let area = area.scaled(self.factor);
            let to_upright = area.chip_map(self.chip.width, self.chip.height).then(&frame.to_upright);
            sampler.cut(picture, &to_upright, GROUND, &mut self.chip);
            self.normaliser.append(&self.chip, &mut self.tensor);
        }
        let outputs = self.session.run(&self.tensor)?;
        let (points, _) = outputs.get(&self.output)?.as_chunks::<2>();
        Ok(points
            .chunks_exact(COUNT)
            .zip(boxes)
            .map(|(points, area)| {
                let area = area.scaled(self.factor);
                let (w, h) = (area.width(), area.height());
                Landmarks(std::array::from_fn(|i| {
                    [area.left + points[i][0] * w, area.top + points[i][1] * h]
                }))
            })
            .collect())
    }
}
