//! The 68 points of a face.

use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::chip_model::ChipModel;
use super::frame::Frame;
use super::rect::Rect;
use crate::inference::{Device, InferenceError, Runtime};
use crate::picture::{Affine, Chip, Kernel, Picture, Sampler};

/// Points of the iBUG scheme: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
const COUNT: usize = 68;

/// What lies outside of the picture is black, as in the pictures that such models are trained on.
const GROUND: u8 = 0;

/// Where [`Landmarks::anchors`] lie in a detector's box of this size, on average over LFW, made symmetric.
const BOX: [f32; 2] = [93.1, 132.0];
const ANCHORS_IN_BOX: [[f32; 2]; 9] = [
    [26.7, 52.8],
    [66.4, 52.8],
    [46.55, 77.1],
    [29.8, 98.8],
    [63.3, 98.8],
    [46.55, 133.1],
    [0.4, 48.6],
    [92.7, 48.6],
    [46.55, 52.0],
];

/// How much larger a box is used than the average one: with 1.0 and with 1.12 verification is a little worse.
const BOX_FACTOR: f32 = 1.06;

/// How far apart, in boxes, the two looks at a detection are.
const STRIDE: f32 = 0.12;

/// How looks around a face differ from one at it: moved by these parts of the box, and larger by this factor.
const JITTERS: [([f32; 2], f32); 7] = [
    ([0.0, 0.0], 1.0),
    ([-0.06, 0.0], 1.0),
    ([0.06, 0.0], 1.0),
    ([0.0, -0.06], 1.0),
    ([0.0, 0.06], 1.0),
    ([0.0, 0.0], 0.92),
    ([0.0, 0.0], 1.08),
];

/// The point that takes a point's place in a mirror.
const MIRRORED: [usize; COUNT] = [
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, // jaw
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17, // brows
    27, 28, 29, 30, 35, 34, 33, 32, 31, // nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, // eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65, // mouth
];

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

    /// The five, and of what moves least: chin, ends of the jaw, bridge of the nose.
    fn anchors(&self) -> [[f32; 2]; 9] {
        let [left, right, nose, left_mouth, right_mouth] = self.five();
        [left, right, nose, left_mouth, right_mouth, self.0[8], self.0[0], self.0[16], self.0[27]]
    }

    /// Brings the unit square onto an upright square about the face, turned with it, that is a little higher than it.
    pub(super) fn square(&self) -> Affine {
        let onto_face = Affine::similarity(&ANCHORS_IN_BOX, &self.anchors());
        let side = BOX[1] * BOX_FACTOR;
        Rect::centred([BOX[0] / 2.0, BOX[1] / 2.0], side, side).unit_map().then(&onto_face)
    }

    /// The mean of each point.
    fn averaged(all: &[Self]) -> Self {
        let n = all.len() as f32;
        let mean = |i: usize, axis: usize| all.iter().map(|one| one.0[i][axis]).sum::<f32>() / n;
        Self(std::array::from_fn(|i| [0, 1].map(|axis| mean(i, axis))))
    }

    /// The landmarks seen in a mirror that shows the unit square, as they are without it.
    pub(super) fn unmirrored(&self) -> Self {
        Self(MIRRORED.map(|index| [1.0 - self.0[index][0], self.0[index][1]]))
    }

    pub(super) fn mapped(&self, map: &Affine) -> Self {
        Self(self.0.map(|point| map.apply(point)))
    }
}

/// What two looks at one face found.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// The mean of both.
    pub(super) landmarks: Landmarks,
    /// Mean distance of a point from its mean, in eye distances.
    pub(super) spread: f32,
}

impl Sighting {
    fn new(one: &Landmarks, other: &Landmarks) -> Self {
        let mean = |i: usize| [0, 1].map(|axis| (one.0[i][axis] + other.0[i][axis]) / 2.0);
        let landmarks = Landmarks(std::array::from_fn(mean));
        let apart = |(p, q): (&[f32; 2], &[f32; 2])| (p[0] - q[0]).hypot(p[1] - q[1]);
        let apart: f32 = one.0.iter().zip(&other.0).map(apart).sum::<f32>() / COUNT as f32;
        let spread = apart / 2.0 / landmarks.eye_distance().max(f32::MIN_POSITIVE);
        Self { landmarks, spread }
    }
}

/// Where a face is looked at twice, by the unit square's maps onto it. The second look is in a mirror, so that what
/// the model favours at one side cancels out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks([Affine; 2]);

impl Looks {
    /// At a detector's box, moved a little to each side.
    pub(super) fn at_box(area: &Rect) -> Self {
        Self([-0.5, 0.5].map(|side| Affine::shift(side * STRIDE, 0.0).then(&area.unit_map())))
    }

    /// At the box, turned with the face, that a detector would give a face with these landmarks on average: what is
    /// found there does not depend on the box that was given.
    pub(super) fn at_face(landmarks: &Landmarks) -> Self {
        let onto_face = Affine::similarity(&ANCHORS_IN_BOX, &landmarks.anchors());
        let area = Rect::new(0.0, 0.0, BOX[0], BOX[1]).scaled(BOX_FACTOR);
        Self([area.unit_map().then(&onto_face); 2])
    }

    /// Several about the same place, which each err in another way.
    pub(super) fn around_face(landmarks: &Landmarks) -> [Self; JITTERS.len()] {
        let Self([onto_face, _]) = Self::at_face(landmarks);
        JITTERS.map(|([right, down], scale)| {
            let moved = Rect::centred([0.5 + right, 0.5 + down], scale, scale);
            Self([moved.unit_map().then(&onto_face); 2])
        })
    }
}

/// The landmark model.
pub(super) struct Landmarker {
    model: ChipModel,
    output: String,
    factor: f32,
    chip: Chip,
}

impl Landmarker {
    /// Time of all runs of the model so far.
    pub(super) fn busy(&self) -> Duration {
        self.model.busy()
    }

    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let (Output::Points { name, count: COUNT }, Crop::Box { factor, square: false, keep_inside: false }) =
            (&model.spec.output, &model.spec.input.crop)
        else {
            let reason = format!("a landmark model takes a face's box and gives {COUNT} points");
            return Err(InferenceError::Model { model: model.spec.name.clone(), reason });
        };
        let model = ChipModel::open(runtime, device, model)?;
        Ok(Self { output: name.clone(), factor: *factor, chip: model.chip(), model })
    }

    /// Finds the landmarks of each face, in one batch.
    pub(super) fn locate(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        faces: &[Looks],
    ) -> Result<Vec<Sighting>, InferenceError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let widened = Rect::centred([0.5, 0.5], self.factor, self.factor).unit_map();
        for Looks([plain, mirrored]) in faces {
            self.cut(sampler, picture, frame, &widened.then(plain));
            self.model.push(&self.chip);
            if mirrored != plain {
                self.cut(sampler, picture, frame, &widened.then(mirrored));
            }
            self.chip.mirror();
            self.model.push(&self.chip);
        }
        let outputs = self.model.run()?;
        let (points, _) = outputs.get(&self.output)?.as_chunks::<2>();
        let (looks, _) = points.as_chunks::<COUNT>();
        let (pairs, _) = looks.as_chunks::<2>();
        Ok(pairs
            .iter()
            .zip(faces)
            .map(|(&[plain, mirrored], Looks(areas))| {
                let [plain_map, mirrored_map] = areas.map(|area| widened.then(&area));
                let mirrored = Landmarks(mirrored).unmirrored();
                Sighting::new(&Landmarks(plain).mapped(&plain_map), &mirrored.mapped(&mirrored_map))
            })
            .collect())
    }

    /// Finds the landmarks of one face more precisely, from where they are known to be: the mean over many looks.
    pub(super) fn average(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        known: &Landmarks,
    ) -> Result<Landmarks, InferenceError> {
        let found = self.locate(sampler, picture, frame, &Looks::around_face(known))?;
        let all: Vec<Landmarks> = found.into_iter().map(|sighting| sighting.landmarks).collect();
        Ok(Landmarks::averaged(&all))
    }

    fn cut(&mut self, sampler: &mut Sampler, picture: &Picture, frame: &Frame, area: &Affine) {
        let to_upright = self.chip.to_unit().then(area).then(&frame.to_upright);
        sampler.cut(picture, &to_upright, GROUND, Kernel::Linear, &mut self.chip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_of_a_mirror_shows_what_is_there() {
        let landmarks = Landmarks(std::array::from_fn(|i| [i as f32 / 100.0, (i * i % 17) as f32 / 17.0]));
        let once = landmarks.unmirrored();
        assert_eq!(once.eyes()[0][1], landmarks.eyes()[1][1]);
        let twice = once.unmirrored();
        assert!(landmarks.0.iter().zip(&twice.0).all(|(p, q)| (p[0] - q[0]).abs() < 1e-6 && p[1] == q[1]));
    }

    #[test]
    fn spread_is_in_eye_distances() {
        // Eyes 0.3 apart: the right one's points are moved by that.
        let at = |x: f32| Landmarks(std::array::from_fn(|i| [x + if i >= 42 { 0.3 } else { 0.0 }, 0.5]));
        let sighting = Sighting::new(&at(0.2), &at(0.26));
        assert!((sighting.spread - 0.1).abs() < 1e-5, "{sighting:?}");
        assert!((sighting.landmarks.0[0][0] - 0.23).abs() < 1e-6);
        assert_eq!(Sighting::new(&at(0.2), &at(0.2)).spread, 0.0);
    }

    #[test]
    fn looks_at_a_face_do_not_depend_on_its_box() {
        let face = Landmarks(std::array::from_fn(|i| [(i * 7 % 40) as f32, (i * 11 % 50) as f32]));
        let map = Affine { a: 1.6, b: -1.2, c: 30.0, d: 1.2, e: 1.6, f: -8.0 };
        let (Looks([one, _]), Looks([other, _])) =
            (Looks::at_face(&face), Looks::at_face(&face.mapped(&map)));
        for corner in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]] {
            let (p, q) = (map.apply(one.apply(corner)), other.apply(corner));
            assert!((p[0] - q[0]).hypot(p[1] - q[1]) < 1e-2, "{p:?} {q:?}");
        }
    }
}
