//! Whether one face, as a picture on a sheet of paper, becomes the other.
//!
//! A sheet that is tilted, bent and moved shows its picture under a map that a quadratic one comes near. That map is
//! started from the landmarks and refined on the pixels (Lucas and Kanade 1981; Baker and Matthews 2004). Pictures of a
//! sheet then agree wherever one looks; those of a head that turned do not, for its parts lie at different depths, hide
//! and shade each other.

use super::least_squares::Normal;
use crate::picture::{Chip, Kernel, Picture, Sampler};
use crate::pipeline::frame::Frame;
use crate::pipeline::landmarks::Landmarks;

/// Pixels to a side of a face's patch: some 18 from eye to eye.
const SIDE: usize = 64;

/// What lies outside of the picture.
const GROUND: u8 = 0;

/// Refinements at each of two scales, at most.
const STEPS: usize = 8;

/// A refinement of less than this, in half patches, is the last.
const SETTLED: f32 = 1e-3;

/// Difference of local contrast from which on a pixel counts half: something else is there.
const DIFFERENT: f32 = 0.5;

/// How much a map's quadratic terms, and its steps, are held back; per observation.
const BEND_RIDGE: f64 = 0.09;
const STEP_RIDGE: f64 = 1e-3;

/// Contrast, in levels of grey squared, below which there is but noise.
const NOISE: f32 = 9.0;

/// Contrast squared, of which one is the usual, below which there is none.
const FAINT: f32 = 1e-4;

/// A map from one patch to another: the polynomials' coefficients for both coordinates, which reach from -1 to 1.
type Map = [[f32; 6]; 2];

fn terms([x, y]: [f32; 2]) -> [f32; 6] {
    [1.0, x, y, x * x, x * y, y * y]
}

fn apply(map: &Map, terms: &[f32; 6]) -> [f32; 2] {
    map.map(|row| row.iter().zip(terms).map(|(a, b)| a * b).sum())
}

/// A face, upright and by its local contrasts.
#[derive(Clone)]
pub(super) struct FacePatch {
    /// At half the size, and at the whole.
    scales: [Grey; 2],
    /// In the unit square.
    landmarks: Landmarks,
}

impl FacePatch {
    /// Cuts the face with these landmarks out.
    pub(super) fn cut(
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        landmarks: &Landmarks,
    ) -> Self {
        let square = landmarks.square();
        let mut chip = Chip { width: SIDE as u32, height: SIDE as u32, pixels: Vec::new() };
        let to_upright = chip.to_unit().then(&square).then(&frame.to_upright);
        sampler.cut(picture, &to_upright, GROUND, Kernel::Linear, &mut chip);
        Self::new(&Grey::new(&chip), landmarks.mapped(&square.inverse()))
    }

    fn new(grey: &Grey, landmarks: Landmarks) -> Self {
        Self { scales: [grey.halved().contrast(), grey.contrast()], landmarks }
    }

    /// As a mirror shows it.
    pub(super) fn mirrored(&self) -> Self {
        let [half, whole] = &self.scales;
        Self { scales: [half.mirrored(), whole.mirrored()], landmarks: self.landmarks.unmirrored() }
    }

    /// Correlation of both faces' local contrasts, -1 to 1, once the one lies on the other as well as a quadratic map
    /// can bring it there.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        let Some(mut map) = self.start(other) else { return 0.0 };
        let mut likeness = 0.0;
        for (one, another) in self.scales.iter().zip(&other.scales) {
            let inside = self.inside(one.side);
            refine(&mut map, one, another, &inside);
            let pairs =
                inside.iter().map(|pixel| (one.values[pixel.at], another.sample(apply(&map, &pixel.terms))));
            likeness = correlation(pairs);
        }
        likeness
    }

    /// The quadratic map that comes nearest to what the landmarks do.
    fn start(&self, other: &Self) -> Option<Map> {
        let mut ridge = [0.0; 6];
        ridge[3..].fill(BEND_RIDGE);
        let [mut x, mut y] = [(); 2].map(|()| Normal::<6>::new(ridge));
        for (p, q) in self.landmarks.0.iter().zip(&other.landmarks.0) {
            let terms = terms(p.map(|value| 2.0 * value - 1.0));
            x.observe(&terms, 2.0 * q[0] - 1.0, 1.0);
            y.observe(&terms, 2.0 * q[1] - 1.0, 1.0);
        }
        Some([x.solve()?, y.solve()?])
    }

    /// The pixels between jaw and brows.
    fn inside(&self, side: usize) -> Vec<Pixel> {
        let outline: Vec<[f32; 2]> =
            (0..17).chain((17..27).rev()).map(|index| self.landmarks.0[index]).collect();
        let pixel = |at: usize| {
            let point = [at % side, at / side].map(|n| (n as f32 + 0.5) / side as f32);
            encloses(&outline, point)
                .then(|| Pixel { at, terms: terms(point.map(|value| 2.0 * value - 1.0)) })
        };
        (0..side * side).filter_map(pixel).collect()
    }
}

/// A pixel of the first patch that counts.
struct Pixel {
    at: usize,
    terms: [f32; 6],
}

/// Moves `map` to where both are most alike, from where they are nearly so.
fn refine(map: &mut Map, one: &Grey, other: &Grey, inside: &[Pixel]) {
    let [across, downwards] = other.slopes();
    for _ in 0..STEPS {
        let mut normal = Normal::<12>::new([STEP_RIDGE * inside.len() as f64; 12]);
        for pixel in inside {
            let at = apply(map, &pixel.terms);
            let missing = one.values[pixel.at] - other.sample(at);
            let (right, down) = (across.sample(at), downwards.sample(at));
            let row = std::array::from_fn(|i| if i < 6 { right } else { down } * pixel.terms[i % 6]);
            normal.observe(&row, missing, 1.0 / (1.0 + missing.abs() / DIFFERENT));
        }
        let Some(step) = normal.solve() else { return };
        for (coefficient, change) in map.as_flattened_mut().iter_mut().zip(step) {
            *coefficient += change;
        }
        if step.iter().all(|change| change.abs() < SETTLED) {
            return;
        }
    }
}

/// Pearson's correlation; nothing where there is no contrast.
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
    xy / (xx * yy).sqrt().max(FAINT * n)
}

/// Whether a polygon encloses a point (the rule of even and odd).
fn encloses(outline: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let edges = outline.iter().zip(outline.iter().cycle().skip(1));
    let crossed = |&(&[x1, y1], &[x2, y2]): &(&[f32; 2], &[f32; 2])| {
        (y1 > y) != (y2 > y) && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1)
    };
    edges.filter(crossed).count() % 2 == 1
}

/// A square of numbers.
#[derive(Clone)]
struct Grey {
    side: usize,
    values: Vec<f32>,
}

impl Grey {
    fn new(chip: &Chip) -> Self {
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        let luma = |&[r, g, b]: &[u8; 3]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
        Self { side: chip.width as usize, values: pixels.iter().map(luma).collect() }
    }

    fn map(&self, value: impl Fn(usize) -> f32) -> Self {
        Self { side: self.side, values: (0..self.values.len()).map(value).collect() }
    }

    fn mirrored(&self) -> Self {
        self.map(|at| self.values[at - at % self.side + self.side - 1 - at % self.side])
    }

    /// Half as large, by the mean of four.
    fn halved(&self) -> Self {
        let side = self.side / 2;
        let mean = |at: usize| {
            let corner = at / side * 2 * self.side + at % side * 2;
            [0, 1, self.side, self.side + 1].map(|next| self.values[corner + next]).iter().sum::<f32>() / 4.0
        };
        Self { side, values: (0..side * side).map(mean).collect() }
    }

    /// Differences from the neighbourhood over the contrast there: the same in any light.
    fn contrast(&self) -> Self {
        let near = self.side as f32 / 16.0;
        let mean = self.blurred(near);
        let difference = self.map(|at| self.values[at] - mean.values[at]);
        let power = difference.map(|at| difference.values[at].powi(2)).blurred(1.5 * near);
        difference.map(|at| difference.values[at] / (power.values[at] + NOISE).sqrt())
    }

    /// Gaussian blur; beyond the border lies what is there.
    fn blurred(&self, sigma: f32) -> Self {
        let reach = (3.0 * sigma).ceil() as isize;
        let weights: Vec<f32> = (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = weights.iter().sum();
        let side = self.side as isize;
        let along = |source: &Self, step: [isize; 2]| {
            source.map(|at| {
                let (x, y) = (at as isize % side, at as isize / side);
                let sum: f32 = (-reach..=reach)
                    .zip(&weights)
                    .map(|(d, weight)| {
                        let [x, y] = [x + d * step[0], y + d * step[1]].map(|n| n.clamp(0, side - 1));
                        weight * source.values[(y * side + x) as usize]
                    })
                    .sum();
                sum / total
            })
        };
        along(&along(self, [1, 0]), [0, 1])
    }

    /// By how much values grow over half a side, to the right and downwards (Sobel).
    fn slopes(&self) -> [Self; 2] {
        let last = self.side - 1;
        let slope = |at: usize, flip: bool| {
            let (x, y) = (at % self.side, at / self.side);
            let value = |along: isize, aside: isize| {
                let (dx, dy) = if flip { (aside, along) } else { (along, aside) };
                let x = x.saturating_add_signed(dx).min(last);
                let y = y.saturating_add_signed(dy).min(last);
                self.values[y * self.side + x]
            };
            let line = |aside| value(1, aside) - value(-1, aside);
            (line(-1) + 2.0 * line(0) + line(1)) / 8.0 * self.side as f32 / 2.0
        };
        [false, true].map(|flip| self.map(|at| slope(at, flip)))
    }

    /// Bilinear, at a point that is inside from -1 to 1; beyond the border lies what is there.
    fn sample(&self, point: [f32; 2]) -> f32 {
        let last = (self.side - 1) as f32;
        let [x, y] = point.map(|value| ((value + 1.0) / 2.0 * self.side as f32 - 0.5).clamp(0.0, last));
        let (left, top) = ((x as usize).min(self.side - 2), (y as usize).min(self.side - 2));
        let (right, down) = (x - left as f32, y - top as f32);
        let row = |y: usize| {
            let at = y * self.side + left;
            self.values[at] * (1.0 - right) + self.values[at + 1] * right
        };
        row(top) * (1.0 - down) + row(top + 1) * down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pixel's centre, from -1 to 1.
    fn centre(at: usize) -> [f32; 2] {
        [at % SIDE, at / SIDE].map(|n| (n as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0)
    }

    /// A face of soft spots, whose point at each place lies under `place`; landmarks on a ring and about its middle.
    fn patch(place: impl Fn([f32; 2]) -> [f32; 2]) -> FacePatch {
        let spots = |[x, y]: [f32; 2]| {
            let wave = |a: f32, b: f32, c: f32| (a * x + b * y + c).sin();
            128.0 + 30.0 * wave(7.0, 3.0, 0.0) + 25.0 * wave(-4.0, 9.0, 1.0) + 20.0 * wave(11.0, -8.0, 2.0)
        };
        let grey = Grey { side: SIDE, values: (0..SIDE * SIDE).map(|at| spots(place(centre(at)))).collect() };
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
        assert!(flat.likeness(&flat) > 0.999);
        assert!(flat.likeness(&bent) > 0.98, "{}", flat.likeness(&bent));
        assert!(bent.likeness(&flat) > 0.98, "{}", bent.likeness(&flat));
    }

    #[test]
    fn what_moves_before_the_rest_is_noticed() {
        let flat = patch(|place| place);
        let nose = |[x, y]: [f32; 2]| [x + 0.3 * (-(x * x + y * y) / 0.06).exp(), y];
        assert!(flat.likeness(&patch(nose)) < 0.94, "{}", flat.likeness(&patch(nose)));
    }

    #[test]
    fn light_makes_no_difference_but_a_mirror_does() {
        let flat = |[x, y]: [f32; 2]| (7.0 * x + 3.0 * y).sin() + (9.0 * y - 4.0 * x + 1.0).sin();
        let landmarks = patch(|place| place).landmarks;
        let lit = |gain: f32, slope: f32| {
            let level = |at: usize| 128.0 + slope * (at % SIDE) as f32 + gain * flat(centre(at));
            let grey = Grey { side: SIDE, values: (0..SIDE * SIDE).map(level).collect() };
            FacePatch::new(&grey, landmarks.clone())
        };
        let (plain, other) = (lit(30.0, 0.0), lit(20.0, 1.0));
        assert!(plain.likeness(&other) > 0.97, "{}", plain.likeness(&other));
        assert!(plain.likeness(&plain.mirrored()) < 0.9);
        assert_eq!(plain.mirrored().mirrored().scales[1].values, plain.scales[1].values);
    }

    #[test]
    fn an_empty_patch_is_like_nothing() {
        let grey = Grey { side: SIDE, values: vec![7.0; SIDE * SIDE] };
        for landmarks in [patch(|place| place).landmarks, Landmarks([[0.0; 2]; 68])] {
            let empty = FacePatch::new(&grey, landmarks);
            assert!(empty.likeness(&empty).abs() < 1e-3);
        }
    }
}
