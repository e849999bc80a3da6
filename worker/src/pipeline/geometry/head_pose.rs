//! The pose of a head, estimated from its landmarks.

/// Orientation and size of a head in front of the camera; angles in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct HeadPose {
    /// Positive where the nose points to the picture's right.
    pub(crate) yaw: f32,
    /// Positive where the nose points up.
    pub(crate) pitch: f32,
    /// Positive where the head leans clockwise in the picture.
    pub(crate) roll: f32,
    /// Pixels for one millimetre of an average head.
    pub(crate) scale: f32,
    /// Ratio of the fitted camera's two scales, 0 to 1. Below 0.8, no pose of an average head explains the landmarks.
    pub(crate) rigidity: f32,
}

/// A point of an average head: its index in the iBUG scheme, and its position in millimetres to the picture's right,
/// down and towards the camera. The origin lies between the eyes.
pub(crate) type HeadPoint = (usize, [f32; 3]);

/// Points of an adult's average head that keep their place while the face moves: brows, nose, corners of the eyes,
/// mouth, chin. Breadths and heights follow common anthropometry, with 63 mm from pupil to pupil.
pub(crate) const HEAD: [HeadPoint; 18] = [
    (8, [0.0, 118.0, 4.0]),
    (17, [-56.0, -18.0, -14.0]),
    (21, [-12.0, -20.0, 9.0]),
    (22, [12.0, -20.0, 9.0]),
    (26, [56.0, -18.0, -14.0]),
    (27, [0.0, -2.0, 11.0]),
    (30, [0.0, 38.0, 31.0]),
    (31, [-15.0, 47.0, 11.0]),
    (33, [0.0, 50.0, 20.0]),
    (35, [15.0, 47.0, 11.0]),
    (36, [-46.0, 0.0, -11.0]),
    (39, [-17.0, 2.0, -4.0]),
    (42, [17.0, 2.0, -4.0]),
    (45, [46.0, 0.0, -11.0]),
    (48, [-25.0, 74.0, 7.0]),
    (51, [0.0, 67.0, 18.0]),
    (54, [25.0, 74.0, 7.0]),
    (57, [0.0, 84.0, 14.0]),
];

/// Two rows count as parallel where the area that they span is less than this part of their squared lengths.
const MIN_SPANNED_AREA: f32 = 1e-3;

impl HeadPose {
    /// Fits the average head to 68 landmarks under weak perspective: the affine camera with the least squared error,
    /// then the rotation nearest to it (DeMenthon and Davis 1995, without their iteration).
    pub(crate) fn new(points: &[[f32; 2]; 68]) -> Self {
        let n = HEAD.len() as f32;
        let centre = mean(HEAD.iter().map(|(_, at)| *at), n);
        let [x, y] = mean(HEAD.iter().map(|&(index, _)| points[index]), n);
        // The normal equations: `moments * camera = products`, one row of the camera for each axis of the picture.
        let (mut moments, mut products) = ([[0.0; 3]; 3], [[0.0; 3]; 2]);
        for (index, at) in &HEAD {
            let at: [f32; 3] = std::array::from_fn(|axis| at[axis] - centre[axis]);
            let seen = [points[*index][0] - x, points[*index][1] - y];
            for i in 0..3 {
                for j in 0..3 {
                    moments[i][j] += at[i] * at[j];
                }
                for (product, seen) in products.iter_mut().zip(seen) {
                    product[i] += seen * at[i];
                }
            }
        }
        let [right, down] = products.map(|product| solve(&moments, product));
        let [larger, smaller] = scales(right, down);
        let [right, down] = nearest_rotation(right, down);
        let roll = down[0].atan2(right[0]);
        // Direction of the nose once the head stands upright: to the right, down, towards the camera.
        let (sine, cosine) = roll.sin_cos();
        let sideways = right[2] * cosine + down[2] * sine;
        let downwards = down[2] * cosine - right[2] * sine;
        let forward = right[0] * down[1] - right[1] * down[0];
        Self {
            yaw: sideways.atan2(forward).to_degrees(),
            pitch: (-downwards).clamp(-1.0, 1.0).asin().to_degrees(),
            roll: roll.to_degrees(),
            scale: (larger + smaller) / 2.0,
            rigidity: smaller / larger.max(f32::MIN_POSITIVE),
        }
    }
}

fn mean<const N: usize>(points: impl Iterator<Item = [f32; N]>, count: f32) -> [f32; N] {
    let sum = points.fold([0.0; N], |sum, point| std::array::from_fn(|axis| sum[axis] + point[axis]));
    sum.map(|value| value / count)
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Solves the normal equations by Cramer's rule. The moments are symmetric, and regular because a head is not flat.
fn solve(moments: &[[f32; 3]; 3], product: [f32; 3]) -> [f32; 3] {
    let [a, b, c] = *moments;
    let determinant = dot(a, cross(b, c));
    [
        dot(product, cross(b, c)) / determinant,
        dot(a, cross(product, c)) / determinant,
        dot(a, cross(b, product)) / determinant,
    ]
}

/// The singular values of a camera with these rows, the larger one first.
fn scales(right: [f32; 3], down: [f32; 3]) -> [f32; 2] {
    let (p, q, r) = (dot(right, right), dot(right, down), dot(down, down));
    let middle = (p + r) / 2.0;
    let radius = ((p - r) / 2.0).hypot(q);
    [middle + radius, (middle - radius).max(0.0)].map(f32::sqrt)
}

/// The orthonormal pair nearest to two rows: `G^-1/2` times these rows, where `G` is their Gram matrix. Parallel rows
/// have no nearest pair and become zero.
fn nearest_rotation(right: [f32; 3], down: [f32; 3]) -> [[f32; 3]; 2] {
    // In two dimensions, `G^-1/2 = t (G + s I)^-1` with `s = sqrt(det G)` and `t = sqrt(trace G + 2 s)`.
    let (p, q, r) = (dot(right, right), dot(right, down), dot(down, down));
    let s = (p * r - q * q).max(0.0).sqrt();
    if s <= MIN_SPANNED_AREA * (p + r) {
        return [[0.0; 3]; 2];
    }
    let factor = (p + r + 2.0 * s).sqrt() / ((p + s) * (r + s) - q * q);
    let row = |one: [f32; 3], two: [f32; 3], weight: f32| {
        std::array::from_fn(|axis| factor * (weight * one[axis] - q * two[axis]))
    };
    [row(right, down, r + s), row(down, right, p + s)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The average head in a pose, as a distant camera sees it.
    fn seen(yaw: f32, pitch: f32, roll: f32) -> [[f32; 2]; 68] {
        let [(sy, cy), (sp, cp), (sr, cr)] = [yaw, pitch, roll].map(|angle| angle.to_radians().sin_cos());
        let mut points = [[0.0; 2]; 68];
        for (index, [x, y, z]) in HEAD {
            let (y, z) = (y * cp - z * sp, y * sp + z * cp);
            let x = x * cy + z * sy;
            points[index] = [x * cr - y * sr, x * sr + y * cr].map(|value| 300.0 + 1.7 * value);
        }
        points
    }

    #[test]
    fn turns_are_recovered() {
        for (yaw, pitch, roll) in
            [(0.0, 0.0, 0.0), (35.0, 0.0, 0.0), (0.0, -25.0, 0.0), (0.0, 0.0, 40.0), (-50.0, 20.0, -30.0)]
        {
            let found = HeadPose::new(&seen(yaw, pitch, roll));
            assert!((found.yaw - yaw).abs() < 0.5 && (found.pitch - pitch).abs() < 0.5, "{found:?}");
            assert!((found.roll - roll).abs() < 0.5, "{found:?}");
            assert!((found.scale - 1.7).abs() < 0.01 && found.rigidity > 0.99, "{found:?}");
        }
    }

    #[test]
    fn a_squeezed_head_is_not_rigid() {
        let squeezed = seen(0.0, 0.0, 0.0).map(|[x, y]| [x, 0.6 * y]);
        let found = HeadPose::new(&squeezed);
        assert!((found.rigidity - 0.6).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn points_that_are_no_face_give_finite_angles() {
        for points in [[[0.0; 2]; 68], std::array::from_fn(|i| [i as f32, 2.0 * i as f32])] {
            let found = HeadPose::new(&points);
            let HeadPose { yaw, pitch, roll, scale, rigidity } = found;
            assert!([yaw, pitch, roll, scale, rigidity].iter().all(|value| value.is_finite()), "{found:?}");
        }
    }
}
