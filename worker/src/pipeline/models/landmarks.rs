//! The landmark network: finds the 68 points of a face.

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Affine, Chip, Kernel, Sampler};
use crate::pipeline::geometry::{
    ANCHORS_IN_BOX, AVERAGE_BOX, BOX_FACTOR, FramedPicture, LANDMARK_COUNT, Landmarks, Rect,
};

/// Level of the pixels outside the picture: black, as in the pictures that such models are trained on.
const OUTSIDE_LEVEL: u8 = 0;

/// Distance of the two passes over a detection, in widths of its box.
const PASS_STRIDE: f32 = 0.12;

/// Passes around a face: how far each is moved, in parts of the box, and by which factor it is larger.
const JITTERS: [([f32; 2], f32); 7] = [
    ([0.0, 0.0], 1.0),
    ([-0.06, 0.0], 1.0),
    ([0.06, 0.0], 1.0),
    ([0.0, -0.06], 1.0),
    ([0.0, 0.06], 1.0),
    ([0.0, 0.0], 0.92),
    ([0.0, 0.0], 1.08),
];

/// Landmarks estimated by two passes of the network over one face (test-time augmentation).
#[derive(Clone, Debug)]
pub(crate) struct LandmarkEstimate {
    /// The mean of both passes.
    pub(crate) landmarks: Landmarks,
    /// Mean distance of a point from its mean, in eye distances.
    pub(crate) spread: f32,
}

impl LandmarkEstimate {
    fn new(one: &Landmarks, other: &Landmarks) -> Self {
        let mean = |i: usize| [0, 1].map(|axis| (one.0[i][axis] + other.0[i][axis]) / 2.0);
        let landmarks = Landmarks(std::array::from_fn(mean));
        let apart = |(p, q): (&[f32; 2], &[f32; 2])| (p[0] - q[0]).hypot(p[1] - q[1]);
        let apart: f32 = one.0.iter().zip(&other.0).map(apart).sum::<f32>() / LANDMARK_COUNT as f32;
        let spread = apart / 2.0 / landmarks.eye_distance().max(f32::MIN_POSITIVE);
        Self { landmarks, spread }
    }
}

/// The squares that two passes over a face cut out, as maps of the unit square. The second pass is mirrored, which
/// cancels the network's preference for one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassPair([Affine; 2]);

impl PassPair {
    /// Passes over a detector's box, moved a little to each side.
    pub(crate) fn at_box(area: &Rect) -> Self {
        Self([-0.5, 0.5].map(|side| Affine::shift(side * PASS_STRIDE, 0.0).then(&area.unit_map())))
    }

    /// Passes over the box that a detector gives to a face with these landmarks on average, leaning with the face. The
    /// result does not depend on the box that the detector really gave.
    pub(crate) fn at_face(landmarks: &Landmarks) -> Self {
        let onto_face = Affine::similarity(&ANCHORS_IN_BOX, &landmarks.anchors());
        let area = Rect::new(0.0, 0.0, AVERAGE_BOX[0], AVERAGE_BOX[1]).scaled(BOX_FACTOR);
        Self([area.unit_map().then(&onto_face); 2])
    }

    /// Several pairs around the same place, whose errors differ.
    fn around_face(landmarks: &Landmarks) -> [Self; JITTERS.len()] {
        let Self([onto_face, _]) = Self::at_face(landmarks);
        JITTERS.map(|([right, down], scale)| {
            let moved = Rect::centred([0.5 + right, 0.5 + down], scale, scale);
            Self([moved.unit_map().then(&onto_face); 2])
        })
    }
}

/// The landmark network.
pub(crate) struct Landmarker {
    network: Network,
    output: String,
    factor: f32,
    chip: Chip,
}

impl FaceModel for Landmarker {
    const ROLE: Role = Role::Landmarks;
    const FORM: &'static str = "a landmark model takes a face's box and gives 68 points";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (
            Output::Points { name, count: LANDMARK_COUNT },
            Crop::Box { factor, square: false, keep_inside: false },
        ) = (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        Some(Self { output: name.clone(), factor: *factor, chip: network.chip(), network })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Landmarker {
    /// Finds the landmarks of each face, in one batch.
    pub(crate) fn locate(
        &mut self,
        sampler: &mut Sampler,
        framed: &FramedPicture<'_>,
        faces: &[PassPair],
    ) -> Result<Vec<LandmarkEstimate>, InferenceError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let widened = Rect::centred([0.5, 0.5], self.factor, self.factor).unit_map();
        self.network.begin_batch();
        for PassPair([plain, mirrored]) in faces {
            self.cut(sampler, framed, &widened.then(plain));
            self.network.push(&self.chip);
            if mirrored != plain {
                self.cut(sampler, framed, &widened.then(mirrored));
            }
            self.chip.mirror();
            self.network.push(&self.chip);
        }
        let outputs = self.network.run()?;
        let (points, _) = outputs.get(&self.output)?.as_chunks::<2>();
        let (passes, _) = points.as_chunks::<LANDMARK_COUNT>();
        let (pairs, _) = passes.as_chunks::<2>();
        Ok(pairs
            .iter()
            .zip(faces)
            .map(|(&[plain, mirrored], PassPair(areas))| {
                let [plain_map, mirrored_map] = areas.map(|area| widened.then(&area));
                let mirrored = Landmarks(mirrored).unmirrored();
                LandmarkEstimate::new(&Landmarks(plain).mapped(&plain_map), &mirrored.mapped(&mirrored_map))
            })
            .collect())
    }

    /// Finds the landmarks of one face more precisely, starting from known ones: the mean over many passes.
    pub(crate) fn average(
        &mut self,
        sampler: &mut Sampler,
        framed: &FramedPicture<'_>,
        known: &Landmarks,
    ) -> Result<Landmarks, InferenceError> {
        let found = self.locate(sampler, framed, &PassPair::around_face(known))?;
        let all: Vec<Landmarks> = found.into_iter().map(|estimate| estimate.landmarks).collect();
        Ok(Landmarks::averaged(&all))
    }

    fn cut(&mut self, sampler: &mut Sampler, framed: &FramedPicture<'_>, area: &Affine) {
        let to_upright = self.chip.to_unit().then(area).then(&framed.frame.to_upright);
        sampler.cut(framed.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Linear, &mut self.chip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_in_eye_distances() {
        // Eyes 0.3 apart: the right one's points are moved by that.
        let at = |x: f32| Landmarks(std::array::from_fn(|i| [x + if i >= 42 { 0.3 } else { 0.0 }, 0.5]));
        let estimate = LandmarkEstimate::new(&at(0.2), &at(0.26));
        assert!((estimate.spread - 0.1).abs() < 1e-5, "{estimate:?}");
        assert!((estimate.landmarks.0[0][0] - 0.23).abs() < 1e-6);
        assert_eq!(LandmarkEstimate::new(&at(0.2), &at(0.2)).spread, 0.0);
    }

    #[test]
    fn passes_over_a_face_do_not_depend_on_its_box() {
        let face = Landmarks(std::array::from_fn(|i| [(i * 7 % 40) as f32, (i * 11 % 50) as f32]));
        let map = Affine { a: 1.6, b: -1.2, c: 30.0, d: 1.2, e: 1.6, f: -8.0 };
        let (PassPair([one, _]), PassPair([other, _])) =
            (PassPair::at_face(&face), PassPair::at_face(&face.mapped(&map)));
        for corner in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]] {
            let (p, q) = (map.apply(one.apply(corner)), other.apply(corner));
            assert!((p[0] - q[0]).hypot(p[1] - q[1]) < 1e-2, "{p:?} {q:?}");
        }
    }
}
