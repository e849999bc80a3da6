//! The turn of a head between two pictures.
//!
//! Two measures are averaged. The first is the difference of the two head poses. The second is the parallax of points
//! at different depths: under weak perspective, the landmarks of a rigid head move by an affine map plus a shift in the
//! direction of the head turn, in proportion to their depth (Koenderink and van Doorn 1991, affine structure from
//! motion). A picture of a head has no depth. If it is tilted, its points move by a homography; if it is bent, nearly
//! by a quadratic map. A quadratic map is therefore removed first. The remaining depth is mostly that of the nose.

use super::least_squares::NormalEquations;
use crate::pipeline::geometry::{HEAD, HeadPoint, HeadPose, Landmarks};

/// Millimetres from pupil to pupil in the average head.
const PUPIL_DISTANCE_MM: f32 = 63.0;

/// Points of the average head beside [`HEAD`]: the bridge and the wings of the nose, and the brows.
pub(crate) const EXTRA_HEAD_POINTS: [HeadPoint; 10] = [
    (18, [-47.0, -24.0, -5.0]),
    (19, [-36.0, -26.0, 2.0]),
    (20, [-24.0, -24.0, 7.0]),
    (23, [24.0, -24.0, 7.0]),
    (24, [36.0, -26.0, 2.0]),
    (25, [47.0, -24.0, -5.0]),
    (28, [0.0, 11.0, 17.0]),
    (29, [0.0, 25.0, 24.0]),
    (32, [-8.0, 49.0, 16.0]),
    (34, [8.0, 49.0, 16.0]),
];

/// Weight of a landmark. Nose and corners of the eyes keep their place while the face moves; brows, mouth and chin
/// count less.
fn weight(index: usize) -> f32 {
    match index {
        27..=47 => 1.0,
        _ => 0.25,
    }
}

/// Sines of a head turn, to the picture's right and downwards, in the direction in which the nose moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct HeadTurn {
    /// Measured by the difference of the two head poses.
    pub(crate) pose: [f32; 2],
    /// Measured by the parallax of points at different depths.
    pub(crate) parallax: [f32; 2],
}

impl HeadTurn {
    /// Measures the turn from one picture to another, each in any scale.
    pub(crate) fn between(before: &Landmarks, after: &Landmarks) -> Self {
        let (there, back) = (parallax(before, after), parallax(after, before));
        let parallax = std::array::from_fn(|axis| (there[axis] - back[axis]) / 2.0);
        Self { pose: pose_change(before, after), parallax }
    }

    /// The mean of both measures.
    pub(crate) fn mean(&self) -> [f32; 2] {
        std::array::from_fn(|axis| (self.pose[axis] + self.parallax[axis]) / 2.0)
    }
}

fn pose_change(before: &Landmarks, after: &Landmarks) -> [f32; 2] {
    let (one, other) = (HeadPose::new(&before.0), HeadPose::new(&after.0));
    let right = (other.yaw - one.yaw).to_radians().sin();
    let down = -(other.pitch - one.pitch).to_radians().sin();
    // Yaw and pitch belong to the upright head; rotate them back to the picture's axes.
    let (sine, cosine) = ((one.roll + other.roll) / 2.0).to_radians().sin_cos();
    [right * cosine - down * sine, right * sine + down * cosine]
}

/// The motion of landmarks in proportion to their depth, beyond what a quadratic map explains: the sine of the head
/// turn. Zero where the landmarks do not determine it.
fn parallax(from: &Landmarks, to: &Landmarks) -> [f32; 2] {
    let pose = HeadPose::new(&from.0);
    let ([sy, cy], [sp, cp]) = (sine_cosine(pose.yaw), sine_cosine(pose.pitch));
    let (scale, to_scale) = (from.eye_distance(), to.eye_distance());
    let [x0, y0] = from.0[27];
    let [mut right, mut down] = [(); 2].map(|()| NormalEquations::<7>::new([0.0; 7]));
    for &(index, [x, y, z]) in HEAD.iter().chain(&EXTRA_HEAD_POINTS) {
        let depth = (y * sp + z * cp) * cy - x * sy;
        let (u, v) = ((from.0[index][0] - x0) / scale, (from.0[index][1] - y0) / scale);
        let row = [1.0, u, v, u * u, u * v, v * v, depth / PUPIL_DISTANCE_MM];
        right.observe(&row, to.0[index][0] / to_scale, weight(index));
        down.observe(&row, to.0[index][1] / to_scale, weight(index));
    }
    match (right.solve(), down.solve()) {
        (Some([.., right]), Some([.., down])) => [right, down],
        _ => [0.0; 2],
    }
}

fn sine_cosine(degrees: f32) -> [f32; 2] {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    [sine, cosine]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(before: &Landmarks, after: &Landmarks) -> [f32; 2] {
        HeadTurn::between(before, after).mean()
    }

    /// The average head in millimetres, with lids at its eyes. The head turn uses no other points.
    fn head() -> [[f32; 3]; 68] {
        let mut points = [[0.0; 3]; 68];
        for &(index, at) in HEAD.iter().chain(&EXTRA_HEAD_POINTS) {
            points[index] = at;
        }
        for (lids, x) in [([37, 38, 40, 41], -31.5), ([43, 44, 46, 47], 31.5)] {
            for index in lids {
                points[index] = [x, 1.0, -7.0];
            }
        }
        points
    }

    /// The points of a head that is turned to the right and upwards and then leans, in degrees, as seen from 600 mm
    /// away.
    fn seen(points: &[[f32; 3]; 68], yaw: f32, pitch: f32, roll: f32) -> Landmarks {
        let ([sy, cy], [sp, cp], [sr, cr]) = (sine_cosine(yaw), sine_cosine(pitch), sine_cosine(roll));
        Landmarks(points.map(|[x, y, z]| {
            let (y, z) = (y * cp - z * sp, y * sp + z * cp);
            let (x, z) = (x * cy + z * sy, z * cy - x * sy);
            [x * cr - y * sr, x * sr + y * cr].map(|value| 300.0 + 1500.0 * value / (600.0 - z))
        }))
    }

    fn size([right, down]: [f32; 2]) -> f32 {
        right.hypot(down)
    }

    #[test]
    fn a_heads_turn_is_recovered_in_size_and_direction() {
        let head = head();
        for (roll, to_roll) in [(0.0, 0.0), (20.0, 20.0), (-10.0, 5.0)] {
            for (yaw, pitch) in [(10.0, 0.0), (-20.0, 0.0), (0.0, 12.0), (0.0, -18.0), (12.0, -12.0)] {
                let found = between(&seen(&head, 0.0, 0.0, roll), &seen(&head, yaw, pitch, to_roll));
                let [sr, cr] = sine_cosine((roll + to_roll) / 2.0);
                let (right, down) = (yaw.to_radians().sin(), -pitch.to_radians().sin());
                let expected = [right * cr - down * sr, right * sr + down * cr];
                let error = size([found[0] - expected[0], found[1] - expected[1]]);
                assert!(error < 0.2 * size(expected), "{found:?}, not {expected:?}");
            }
        }
    }

    #[test]
    fn from_one_side_to_the_other_is_a_turn_too() {
        let head = head();
        let [right, down] = between(&seen(&head, -12.0, -5.0, 0.0), &seen(&head, 12.0, -5.0, 0.0));
        assert!((right - 0.407).abs() < 0.08 && down.abs() < 0.05, "{right} {down}");
    }

    #[test]
    fn a_sheet_that_is_moved_tilted_or_bent_does_not_turn() {
        let head = head();
        let picture = seen(&head, 5.0, -4.0, 0.0).0.map(|[x, y]| [(x - 300.0) / 2.5, (y - 300.0) / 2.5, 0.0]);
        let flat = seen(&picture, 0.0, 0.0, 0.0);
        for (yaw, pitch, roll) in [(0.0, 0.0, 15.0), (20.0, 0.0, 0.0), (0.0, -20.0, 5.0), (-15.0, 15.0, 0.0)]
        {
            // The cylinders' radii in millimetres, about the upright and the level axis.
            for [upright, level] in [[f32::INFINITY; 2], [150.0, f32::INFINITY], [f32::INFINITY, -150.0]] {
                let bent = picture.map(|[x, y, _]| {
                    if upright.is_finite() {
                        [upright * (x / upright).sin(), y, upright * ((x / upright).cos() - 1.0)]
                    } else if level.is_finite() {
                        [x, level * (y / level).sin(), level * ((y / level).cos() - 1.0)]
                    } else {
                        [x, y, 0.0]
                    }
                });
                let found = between(&flat, &seen(&bent, yaw, pitch, roll));
                assert!(size(found) < 0.095, "{yaw} {pitch} {roll} {upright} {level}: {found:?}");
            }
        }
    }

    #[test]
    fn points_that_are_no_face_have_no_turn() {
        let nowhere = Landmarks([[0.0; 2]; 68]);
        assert!(size(between(&nowhere, &nowhere)) < 1e-6);
    }
}
