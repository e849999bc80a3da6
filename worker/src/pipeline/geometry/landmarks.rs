//! The 68 points of a face.

use super::rect::Rect;
use crate::picture::Affine;

/// Points of the iBUG scheme: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
pub(crate) const LANDMARK_COUNT: usize = 68;

/// Width and height of an average detector's box, in the units of [`ANCHORS_IN_BOX`].
pub(crate) const AVERAGE_BOX: [f32; 2] = [93.1, 132.0];

/// Positions of [`Landmarks::anchors`] in a detector's box of the size [`AVERAGE_BOX`]: the mean over LFW, made
/// symmetric.
pub(crate) const ANCHORS_IN_BOX: [[f32; 2]; 9] = [
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

/// A face is cut out by a box this many times as large as the average one. With 1.0 and with 1.12, verification is a
/// little worse.
pub(crate) const BOX_FACTOR: f32 = 1.06;

/// For each point, the index of its counterpart in the mirrored face.
const MIRRORED: [usize; LANDMARK_COUNT] = [
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, // jaw
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17, // brows
    27, 28, 29, 30, 35, 34, 33, 32, 31, // nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, // eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65, // mouth
];

/// Landmarks of one face, in the coordinates of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Landmarks(pub(crate) [[f32; 2]; LANDMARK_COUNT]);

impl Landmarks {
    fn mean(&self, indices: &[usize]) -> [f32; 2] {
        let sum = indices.iter().fold([0.0, 0.0], |sum, &i| [sum[0] + self.0[i][0], sum[1] + self.0[i][1]]);
        sum.map(|value| value / indices.len() as f32)
    }

    /// Centres of the eyes, the one at the picture's left first: the means of their lids' inner points.
    pub(crate) fn eyes(&self) -> [[f32; 2]; 2] {
        [self.mean(&[37, 38, 40, 41]), self.mean(&[43, 44, 46, 47])]
    }

    /// Distance between the centres of the eyes.
    pub(crate) fn eye_distance(&self) -> f32 {
        let [left, right] = self.eyes();
        (right[0] - left[0]).hypot(right[1] - left[1])
    }

    /// Eyes, nose tip, corners of the mouth.
    pub(crate) fn five(&self) -> [[f32; 2]; 5] {
        let [left, right] = self.eyes();
        [left, right, self.0[30], self.mean(&[48, 60]), self.mean(&[54, 64])]
    }

    /// The five points, and those that move least: chin, ends of the jaw, bridge of the nose.
    pub(crate) fn anchors(&self) -> [[f32; 2]; 9] {
        let [left, right, nose, left_mouth, right_mouth] = self.five();
        [left, right, nose, left_mouth, right_mouth, self.0[8], self.0[0], self.0[16], self.0[27]]
    }

    /// Maps the unit square onto a square around the face that leans with it and is a little higher than it.
    pub(crate) fn square(&self) -> Affine {
        let onto_face = Affine::similarity(&ANCHORS_IN_BOX, &self.anchors());
        let side = AVERAGE_BOX[1] * BOX_FACTOR;
        Rect::centred([AVERAGE_BOX[0] / 2.0, AVERAGE_BOX[1] / 2.0], side, side).unit_map().then(&onto_face)
    }

    /// The mean of each point over several estimates.
    pub(crate) fn averaged(all: &[Self]) -> Self {
        let n = all.len() as f32;
        let mean = |i: usize, axis: usize| all.iter().map(|one| one.0[i][axis]).sum::<f32>() / n;
        Self(std::array::from_fn(|i| [0, 1].map(|axis| mean(i, axis))))
    }

    /// Undoes the mirroring of landmarks that were found in the mirrored unit square.
    pub(crate) fn unmirrored(&self) -> Self {
        Self(MIRRORED.map(|index| [1.0 - self.0[index][0], self.0[index][1]]))
    }

    /// All points under a map.
    pub(crate) fn mapped(&self, map: &Affine) -> Self {
        Self(self.0.map(|point| map.apply(point)))
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
}
