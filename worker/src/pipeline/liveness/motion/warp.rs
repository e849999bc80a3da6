//! Warping one face onto another, to decide whether both could be pictures of one sheet of paper.
//!
//! If a sheet is tilted, bent and moved, its picture changes nearly by a quadratic map. The map is first estimated from
//! the landmarks and then refined on the pixels (Lucas and Kanade 1981; Baker and Matthews 2004). Two pictures of a
//! sheet then agree everywhere. Two pictures of a head that turned do not, because its parts lie at different depths,
//! and hide and shade each other.

use super::grey::Grey;
use super::least_squares::NormalEquations;
use crate::picture::{Affine, Chip, Kernel, Sampler};
use crate::pipeline::geometry::{FramedPicture, Landmarks};

/// Side of a face's patch in pixels; the eyes are about 18 pixels apart.
const SIDE_PIXELS: usize = 64;

/// Level of the pixels outside the picture.
const OUTSIDE_LEVEL: u8 = 0;

/// Maximum number of refinements at each of the two scales.
const MAX_REFINEMENTS: usize = 8;

/// A refinement whose step is smaller than this, in half patches, is the last.
const CONVERGED_STEP: f32 = 1e-3;

/// Difference of local contrast at which a pixel has half the weight, since it shows something else.
const HALF_WEIGHT_DIFFERENCE: f32 = 0.5;

/// Ridge weight of a map's quadratic terms.
const BEND_RIDGE: f64 = 0.09;
/// Ridge weight of a refinement's step, per pixel.
const STEP_RIDGE: f64 = 1e-3;

/// Squared local contrast below which a patch counts as empty; 1 is usual.
const MIN_CONTRAST_POWER: f32 = 1e-4;

/// A quadratic map from one patch to another: coefficients for both coordinates, which reach from -1 to 1.
type QuadraticMap = [[f32; 6]; 2];

fn terms([x, y]: [f32; 2]) -> [f32; 6] {
    [1.0, x, y, x * x, x * y, y * y]
}

fn apply(map: &QuadraticMap, terms: &[f32; 6]) -> [f32; 2] {
    map.map(|row| row.iter().zip(terms).map(|(a, b)| a * b).sum())
}

/// An upright face as local contrasts.
#[derive(Clone)]
pub(crate) struct FacePatch {
    /// At half and at full size.
    scales: [Grey; 2],
    /// In the coordinates of the unit square.
    landmarks: Landmarks,
    /// Maps the unit square to the picture.
    square: Affine,
}

/// Agreement of one face with another that is warped onto it like a bent sheet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WarpMatch {
    /// Correlation of both faces' local contrasts, -1 to 1.
    pub(crate) correlation: f32,
    /// Displacement of the face in the picture, in eye distances: the root mean square over four points of the face.
    pub(crate) displacement: f32,
}

impl FacePatch {
    /// Cuts out the face with these landmarks.
    pub(crate) fn cut(sampler: &mut Sampler, framed: &FramedPicture<'_>, landmarks: &Landmarks) -> Self {
        let square = landmarks.square();
        let mut chip = Chip { width: SIDE_PIXELS as u32, height: SIDE_PIXELS as u32, pixels: Vec::new() };
        let to_upright = chip.to_unit().then(&square).then(&framed.frame.to_upright);
        sampler.cut(framed.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Linear, &mut chip);
        Self { square, ..Self::new(&Grey::new(&chip), landmarks.mapped(&square.inverse())) }
    }

    fn new(grey: &Grey, landmarks: Landmarks) -> Self {
        Self { scales: [grey.halved().contrast(), grey.contrast()], landmarks, square: Affine::IDENTITY }
    }

    /// Swaps left and right.
    pub(super) fn mirrored(&self) -> Self {
        let [half, whole] = &self.scales;
        let landmarks = self.landmarks.unmirrored();
        Self { scales: [half.mirrored(), whole.mirrored()], landmarks, square: self.square }
    }

    /// Correlation of both faces' local contrasts, -1 to 1, after the best quadratic map of one onto the other.
    pub(crate) fn correlation(&self, other: &Self) -> f32 {
        self.matched(other).map_or(0.0, |(correlation, _)| correlation)
    }

    /// As [`Self::correlation`], with the face's displacement in the picture. `None` where the landmarks lie in a line.
    pub(crate) fn warp_match(&self, other: &Self) -> Option<WarpMatch> {
        /// Between the face's middle and the patch's corners.
        const POINTS: [[f32; 2]; 4] = [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]];
        let (correlation, map) = self.matched(other)?;
        let moved = POINTS.map(|point| {
            let placed = |patch: &Self, point: [f32; 2]| patch.square.apply(point.map(|n| (n + 1.0) / 2.0));
            let (before, after) = (placed(self, point), placed(other, apply(&map, &terms(point))));
            (after[0] - before[0]).powi(2) + (after[1] - before[1]).powi(2)
        });
        let eyes = self.landmarks.mapped(&self.square).eye_distance().max(f32::MIN_POSITIVE);
        Some(WarpMatch { correlation, displacement: (moved.iter().sum::<f32>() / 4.0).sqrt() / eyes })
    }

    /// The correlation, and the best quadratic map of this face onto the other.
    fn matched(&self, other: &Self) -> Option<(f32, QuadraticMap)> {
        let mut map = self.landmark_map(other)?;
        let mut result = 0.0;
        for (one, another) in self.scales.iter().zip(&other.scales) {
            let inside = self.face_pixels(one.side);
            refine(&mut map, one, another, &inside);
            let pairs =
                inside.iter().map(|pixel| (one.values[pixel.at], another.sample(apply(&map, &pixel.terms))));
            result = correlation(pairs);
        }
        Some((result, map))
    }

    /// The quadratic map that fits the landmarks best.
    fn landmark_map(&self, other: &Self) -> Option<QuadraticMap> {
        let mut ridge = [0.0; 6];
        ridge[3..].fill(BEND_RIDGE);
        let [mut x, mut y] = [(); 2].map(|()| NormalEquations::<6>::new(ridge));
        for (p, q) in self.landmarks.0.iter().zip(&other.landmarks.0) {
            let terms = terms(p.map(|value| 2.0 * value - 1.0));
            x.observe(&terms, 2.0 * q[0] - 1.0, 1.0);
            y.observe(&terms, 2.0 * q[1] - 1.0, 1.0);
        }
        Some([x.solve()?, y.solve()?])
    }

    /// The pixels between jaw and brows.
    fn face_pixels(&self, side: usize) -> Vec<FacePixel> {
        let outline: Vec<[f32; 2]> =
            (0..17).chain((17..27).rev()).map(|index| self.landmarks.0[index]).collect();
        let pixel = |at: usize| {
            let point = [at % side, at / side].map(|n| (n as f32 + 0.5) / side as f32);
            encloses(&outline, point)
                .then(|| FacePixel { at, terms: terms(point.map(|value| 2.0 * value - 1.0)) })
        };
        (0..side * side).filter_map(pixel).collect()
    }
}

/// A pixel of the first patch that lies on the face.
struct FacePixel {
    at: usize,
    terms: [f32; 6],
}

/// Refines `map` so that both patches agree best (Lucas and Kanade).
fn refine(map: &mut QuadraticMap, one: &Grey, other: &Grey, inside: &[FacePixel]) {
    let [across, downwards] = other.gradients();
    for _ in 0..MAX_REFINEMENTS {
        let mut normal = NormalEquations::<12>::new([STEP_RIDGE * inside.len() as f64; 12]);
        for pixel in inside {
            let at = apply(map, &pixel.terms);
            let missing = one.values[pixel.at] - other.sample(at);
            let (right, down) = (across.sample(at), downwards.sample(at));
            let row = std::array::from_fn(|i| if i < 6 { right } else { down } * pixel.terms[i % 6]);
            normal.observe(&row, missing, 1.0 / (1.0 + missing.abs() / HALF_WEIGHT_DIFFERENCE));
        }
        let Some(step) = normal.solve() else { return };
        for (coefficient, change) in map.as_flattened_mut().iter_mut().zip(step) {
            *coefficient += change;
        }
        if step.iter().all(|change| change.abs() < CONVERGED_STEP) {
            return;
        }
    }
}

/// Pearson's correlation; 0 where there is no contrast.
fn correlation(pairs: impl Iterator<Item = (f32, f32)> + Clone) -> f32 {
    let n = pairs.clone().count().max(1) as f32;
    let (x, y) = pairs.clone().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / n, y + b / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - x, b - y);
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    xy / (xx * yy).sqrt().max(MIN_CONTRAST_POWER * n)
}

/// Whether a polygon encloses a point, by the even-odd rule.
fn encloses(outline: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let edges = outline.iter().zip(outline.iter().cycle().skip(1));
    let crossed = |&(&[x1, y1], &[x2, y2]): &(&[f32; 2], &[f32; 2])| {
        (y1 > y) != (y2 > y) && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1)
    };
    edges.filter(crossed).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pixel's centre, from -1 to 1.
    fn centre(at: usize) -> [f32; 2] {
        [at % SIDE_PIXELS, at / SIDE_PIXELS].map(|n| (n as f32 + 0.5) / SIDE_PIXELS as f32 * 2.0 - 1.0)
    }

    /// A face of soft spots, whose point at each place lies under `place`; landmarks on a ring and about its middle.
    fn patch(place: impl Fn([f32; 2]) -> [f32; 2]) -> FacePatch {
        let spots = |[x, y]: [f32; 2]| {
            let wave = |a: f32, b: f32, c: f32| (a * x + b * y + c).sin();
            128.0 + 30.0 * wave(7.0, 3.0, 0.0) + 25.0 * wave(-4.0, 9.0, 1.0) + 20.0 * wave(11.0, -8.0, 2.0)
        };
        let grey = Grey {
            side: SIDE_PIXELS,
            values: (0..SIDE_PIXELS * SIDE_PIXELS).map(|at| spots(place(centre(at)))).collect(),
        };
        let landmarks = Landmarks(std::array::from_fn(|i| {
            // From the jaw's left end below to its right one, then above from left to right.
            let angle = match i {
                0..17 => std::f32::consts::PI * (1.0 - i as f32 / 16.0),
                17..27 => std::f32::consts::PI * (1.0 + (i - 16) as f32 / 11.0),
                _ => i as f32,
            };
            let radius = if i < 27 { 0.35 } else { 0.15 };
            [0.5 + radius * angle.cos(), 0.5 + radius * angle.sin()]
        }));
        FacePatch::new(&grey, landmarks)
    }

    #[test]
    fn a_bent_sheet_is_like_itself() {
        let flat = patch(|place| place);
        let bent = patch(|[x, y]| [x + 0.05 + 0.08 * x * x - 0.04 * x * y, 0.95 * y - 0.03 + 0.06 * y * y]);
        assert!(flat.correlation(&flat) > 0.999);
        assert!(flat.correlation(&bent) > 0.98, "{}", flat.correlation(&bent));
        assert!(bent.correlation(&flat) > 0.98, "{}", bent.correlation(&flat));
    }

    #[test]
    fn what_moves_before_the_rest_is_noticed() {
        let flat = patch(|place| place);
        let nose = |[x, y]: [f32; 2]| [x + 0.3 * (-(x * x + y * y) / 0.06).exp(), y];
        assert!(flat.correlation(&patch(nose)) < 0.94, "{}", flat.correlation(&patch(nose)));
    }

    #[test]
    fn light_makes_no_difference_but_a_mirror_does() {
        let flat = |[x, y]: [f32; 2]| (7.0 * x + 3.0 * y).sin() + (9.0 * y - 4.0 * x + 1.0).sin();
        let landmarks = patch(|place| place).landmarks;
        let lit = |gain: f32, slope: f32| {
            let level = |at: usize| 128.0 + slope * (at % SIDE_PIXELS) as f32 + gain * flat(centre(at));
            let grey =
                Grey { side: SIDE_PIXELS, values: (0..SIDE_PIXELS * SIDE_PIXELS).map(level).collect() };
            FacePatch::new(&grey, landmarks.clone())
        };
        let (plain, other) = (lit(30.0, 0.0), lit(20.0, 1.0));
        assert!(plain.correlation(&other) > 0.97, "{}", plain.correlation(&other));
        assert!(plain.correlation(&plain.mirrored()) < 0.9);
        assert_eq!(plain.mirrored().mirrored().scales[1].values, plain.scales[1].values);
    }

    #[test]
    fn an_empty_patch_is_like_nothing() {
        let grey = Grey { side: SIDE_PIXELS, values: vec![7.0; SIDE_PIXELS * SIDE_PIXELS] };
        for landmarks in [patch(|place| place).landmarks, Landmarks([[0.0; 2]; 68])] {
            let empty = FacePatch::new(&grey, landmarks);
            assert!(empty.correlation(&empty).abs() < 1e-3);
        }
    }
}
