//! The 68 points of a face.

use std::sync::Arc;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::frame::Frame;
use super::normaliser::Normaliser;
use super::rect::Rect;
use crate::inference::{Device, InferenceError, Runtime, Session};
use crate::picture::{Affine, Chip, Picture, Sampler};

/// Points of the iBUG scheme: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
const COUNT: usize = 68;

/// What lies outside of the picture is black, as in the pictures that such models are trained on.
const GROUND: u8 = 0;

/// Where eyes, nose tip and corners of the mouth lie in a detector's box of this size, on average.
const BOX: [f32; 2] = [81.0, 114.5];
const FIVE_IN_BOX: [[f32; 2]; 5] = [[22.7, 46.1], [57.9, 45.9], [40.4, 66.1], [25.9, 86.8], [55.1, 86.6]];

/// Looks at a face, each with its box moved a little.
pub(super) const LOOKS: usize = 5;

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

    /// The mean of several looks at one face, and the mean distance of a point from it, in eye distances.
    pub(super) fn average(looks: &[Self]) -> (Self, f32) {
        let n = looks.len() as f32;
        let mean = Self(std::array::from_fn(|i| {
            let sum = looks.iter().fold([0.0, 0.0], |sum, one| [sum[0] + one.0[i][0], sum[1] + one.0[i][1]]);
            sum.map(|value| value / n)
        }));
        let pairs = looks.iter().flat_map(|one| one.0.iter().zip(&mean.0));
        let strayed: f32 = pairs.map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).sum();
        let spread = strayed / (n * COUNT as f32 * mean.eye_distance().max(f32::MIN_POSITIVE));
        (mean, spread)
    }
}

/// The unit square's maps onto a detector's box, and onto that box moved a little to each side.
pub(super) fn looks_at_box(area: &Rect) -> [Affine; LOOKS] {
    looks(&area.unit_map())
}

/// The unit square's maps onto the box, turned with the face, that a detector would give a face with these
/// landmarks on average: what is found there does not depend on the box that was given.
pub(super) fn looks_at_face(landmarks: &Landmarks) -> [Affine; LOOKS] {
    let onto_face = Affine::similarity(&FIVE_IN_BOX, &landmarks.five());
    looks(&Affine::scale(BOX[0], BOX[1]).then(&onto_face))
}

fn looks(map: &Affine) -> [Affine; LOOKS] {
    const STEP: f32 = 0.06;
    [(0.0, 0.0), (-STEP, 0.0), (STEP, 0.0), (0.0, -STEP), (0.0, STEP)]
        .map(|(x, y)| Affine::shift(x, y).then(map))
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

    /// Finds the landmarks in each of the areas, given by the unit square's maps onto them, in one batch.
    pub(super) fn locate(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        areas: &[Affine],
    ) -> Result<Vec<Landmarks>, InferenceError> {
        if areas.is_empty() {
            return Ok(Vec::new());
        }
        let widened = Rect::centred([0.5, 0.5], self.factor, self.factor).unit_map();
        self.tensor.clear();
        for area in areas {
            let to_upright = self.chip.to_unit().then(&widened).then(area).then(&frame.to_upright);
            sampler.cut(picture, &to_upright, GROUND, &mut self.chip);
            self.normaliser.append(&self.chip, &mut self.tensor);
        }
        let outputs = self.session.run(&self.tensor)?;
        let (points, _) = outputs.get(&self.output)?.as_chunks::<2>();
        Ok(points
            .chunks_exact(COUNT)
            .zip(areas)
            .map(|(points, area)| {
                let area = widened.then(area);
                Landmarks(std::array::from_fn(|i| area.apply(points[i])))
            })
            .collect())
    }
}
