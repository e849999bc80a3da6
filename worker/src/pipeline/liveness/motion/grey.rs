//! Square grey pictures: local contrast, blur, gradients and sampling.

use crate::picture::Chip;

/// Noise in luma levels squared: below this power there is no contrast.
const NOISE_POWER: f32 = 9.0;

/// A square grey picture.
#[derive(Clone)]
pub(crate) struct Grey {
    /// Pixels per side.
    pub(crate) side: usize,
    /// Row after row.
    pub(crate) values: Vec<f32>,
}

impl Grey {
    /// The luma of a square chip.
    pub(super) fn new(chip: &Chip) -> Self {
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        let luma = |&[r, g, b]: &[u8; 3]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
        Self { side: chip.width as usize, values: pixels.iter().map(luma).collect() }
    }

    fn map(&self, value: impl Fn(usize) -> f32) -> Self {
        Self { side: self.side, values: (0..self.values.len()).map(value).collect() }
    }

    /// Swaps left and right.
    pub(super) fn mirrored(&self) -> Self {
        self.map(|at| self.values[at - at % self.side + self.side - 1 - at % self.side])
    }

    /// Half as large; each pixel is the mean of four.
    pub(super) fn halved(&self) -> Self {
        let side = self.side / 2;
        let mean = |at: usize| {
            let corner = at / side * 2 * self.side + at % side * 2;
            [0, 1, self.side, self.side + 1].map(|next| self.values[corner + next]).iter().sum::<f32>() / 4.0
        };
        Self { side, values: (0..side * side).map(mean).collect() }
    }

    /// Local contrast: each pixel's difference from its neighbourhood, divided by the contrast there. Independent of
    /// light.
    pub(crate) fn contrast(&self) -> Self {
        let near = self.side as f32 / 16.0;
        let mean = self.blurred(near);
        let difference = self.map(|at| self.values[at] - mean.values[at]);
        let power = difference.map(|at| difference.values[at].powi(2)).blurred(1.5 * near);
        difference.map(|at| difference.values[at] / (power.values[at] + NOISE_POWER).sqrt())
    }

    /// Gaussian blur. Beyond the border, the border's pixels continue.
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

    /// Gradients per half a side, to the right and downwards (Sobel).
    pub(super) fn gradients(&self) -> [Self; 2] {
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

    /// Bilinear interpolation at a point whose coordinates reach from -1 to 1. Beyond the border, the border's pixels
    /// continue.
    pub(super) fn sample(&self, point: [f32; 2]) -> f32 {
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
