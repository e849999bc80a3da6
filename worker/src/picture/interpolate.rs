//! Interpolation between the pixels of a picture.
//!
//! A pixel's three levels are the lanes of one vector, so that one instruction serves all channels.

use wide::{f32x4, i32x4};

use super::{Affine, Chip};

/// Red, green and blue from 0 to 255. The fourth lane has no meaning.
type Colour = f32x4;

/// Maximum number of pixels that a kernel reaches to each side.
const KERNEL_REACH_PIXELS: f32 = 2.0;

/// Pixels around a region that kernels may read: those that they reach, and one for rounding.
const MARGIN_PIXELS: f32 = KERNEL_REACH_PIXELS + 1.0;

/// Interpolation of a chip's pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kernel {
    /// From 2 x 2 neighbours: fast.
    Linear,
    /// From 2 x 2 neighbours without a filter, however far apart the chip's pixels are. Fine patterns alias, as they do
    /// in the training data of models whose pictures were resized by OpenCV.
    Sparse,
    /// From 4 x 4 neighbours: keeps details that a linear kernel blurs.
    Cubic,
}

/// Pixels that are sampled: RGB, 8 bits per channel.
pub(super) struct PixelView<'p> {
    pub(super) pixels: &'p [u8],
    pub(super) width: u32,
    pub(super) height: u32,
}

/// A part of a picture with its pixels as colours. Where it extends beyond the picture, its pixels have the level of
/// the outside. Kernels that read each pixel many times then convert it once, and need no check for the border.
#[derive(Default)]
pub(super) struct Region {
    left: i32,
    top: i32,
    width: usize,
    pixels: Vec<Colour>,
}

impl Region {
    /// Samples `source` at every pixel of the chip, whose pixels must lie about as close as the source's: memory for the part of
    /// `source` under the chip is needed.
    pub(super) fn interpolate(
        &mut self,
        source: &PixelView<'_>,
        map: &Affine,
        outside: u8,
        kernel: Kernel,
        chip: &mut Chip,
    ) {
        self.read(source, map, outside, chip);
        if kernel == Kernel::Cubic {
            sample(source, map, chip, |left, top| self.square(left - 1, top - 1), bicubic);
        } else {
            sample(source, map, chip, |left, top| self.square(left, top), bilinear);
        }
    }

    /// Reads the part of `source` that lies under the chip.
    fn read(&mut self, source: &PixelView<'_>, map: &Affine, outside: u8, chip: &Chip) {
        let [across, down] = extents(map, chip);
        let widened = |[low, high]: [f32; 2], size: u32| {
            let within = |place: f32| place.clamp(-KERNEL_REACH_PIXELS, size as f32 + KERNEL_REACH_PIXELS);
            (within(low) - MARGIN_PIXELS).floor() as i32..(within(high) + MARGIN_PIXELS).ceil() as i32
        };
        let (columns, rows) = (widened(across, source.width), widened(down, source.height));
        (self.left, self.top, self.width) = (columns.start, rows.start, columns.len());
        self.pixels.clear();
        self.pixels.resize(self.width * rows.len(), Colour::splat(f32::from(outside)));
        let inside = columns.start.max(0)..columns.end.min(source.width as i32);
        if inside.is_empty() {
            return;
        }
        let first = (inside.start - columns.start) as usize;
        for (row, y) in self.pixels.chunks_exact_mut(self.width).zip(rows) {
            if (0..source.height as i32).contains(&y) {
                let known = source.row(y as usize, inside.start as usize, inside.len());
                for (colour, pixel) in row[first..].iter_mut().zip(known) {
                    *colour = colour_of(*pixel);
                }
            }
        }
    }

    /// `N` rows of `N` neighbours from `left` and `top` on.
    fn square<const N: usize>(&self, left: i32, top: i32) -> [[Colour; N]; N] {
        let start = (top - self.top) as usize * self.width + (left - self.left) as usize;
        std::array::from_fn(|row| {
            let rest = self.pixels.get(start + row * self.width..);
            rest.and_then(|rest| rest.first_chunk()).copied().unwrap_or([Colour::ZERO; N])
        })
    }
}

impl PixelView<'_> {
    /// Samples at every pixel of the chip between neighbouring pixels, however far apart the chip's pixels lie.
    pub(super) fn interpolate_sparsely(&self, map: &Affine, outside: u8, chip: &mut Chip) {
        sample(self, map, chip, |left, top| self.square(left, top, outside), bilinear);
    }

    /// The part of the picture that the chip shows, on whole pixels: left, top, right, bottom.
    pub(super) fn covered(&self, map: &Affine, chip: &Chip) -> Option<(f32, f32, f32, f32)> {
        let [[left, right], [top, bottom]] = extents(map, chip);
        let (left, top) = ((left - 1.0).floor().max(0.0), (top - 1.0).floor().max(0.0));
        let right = (right + 1.0).ceil().min(self.width as f32);
        let bottom = (bottom + 1.0).ceil().min(self.height as f32);
        (left < right && top < bottom).then_some((left, top, right, bottom))
    }

    /// `count` pixels of a row.
    fn row(&self, y: usize, left: usize, count: usize) -> &[[u8; 3]] {
        let (pixels, _) = self.pixels.as_chunks();
        let start = y * self.width as usize + left;
        pixels.get(start..start + count).unwrap_or_default()
    }

    /// Two rows of two neighbours from `left` and `top` on; `outside` where there is no pixel.
    fn square(&self, left: i32, top: i32, outside: u8) -> [[Colour; 2]; 2] {
        [0, 1].map(|down| {
            [0, 1].map(|right| {
                let (x, y) = (left + right, top + down);
                let inside = (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y);
                let known = if inside { self.row(y as usize, x as usize, 1).first() } else { None };
                known.map_or(Colour::splat(f32::from(outside)), |pixel| colour_of(*pixel))
            })
        })
    }
}

fn colour_of([red, green, blue]: [u8; 3]) -> Colour {
    Colour::new([f32::from(red), f32::from(green), f32::from(blue), 0.0])
}

/// Extent of the chip in the picture's coordinates: lowest and highest x, lowest and highest y.
fn extents(map: &Affine, chip: &Chip) -> [[f32; 2]; 2] {
    let (w, h) = (chip.width as f32, chip.height as f32);
    let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|corner| map.apply(corner));
    [0, 1].map(|axis| {
        let places = corners.map(|corner| corner[axis]);
        let low = places.into_iter().fold(f32::INFINITY, f32::min);
        [low, places.into_iter().fold(f32::NEG_INFINITY, f32::max)]
    })
}

/// Computes every pixel of the chip by `kernel`, from the neighbours whose square begins right and below of the pixel at (left, top), and
/// the position between them, to the right and downwards, 0 to 1.
fn sample<const N: usize>(
    source: &PixelView<'_>,
    map: &Affine,
    chip: &mut Chip,
    square: impl Fn(i32, i32) -> [[Colour; N]; N],
    kernel: impl Fn([[Colour; N]; N], [f32; 2]) -> Colour,
) {
    let reach = f32x4::splat(KERNEL_REACH_PIXELS);
    // Beyond these places all pixels are outside.
    let end = f32x4::new([source.width as f32, source.height as f32, 0.0, 0.0]) + reach;
    let [right, down, origin] =
        [[map.a, map.d], [map.b, map.e], [map.c, map.f]].map(|[x, y]| f32x4::new([x, y, 0.0, 0.0]));
    let (pixels, _) = chip.pixels.as_chunks_mut::<3>();
    for (j, row) in pixels.chunks_exact_mut(chip.width as usize).enumerate() {
        let down = down * f32x4::splat(j as f32 + 0.5);
        for (i, pixel) in row.iter_mut().enumerate() {
            let centre = right * f32x4::splat(i as f32 + 0.5) + down + origin;
            let place = (centre - f32x4::splat(0.5)).max(-reach).min(end);
            // The sums are positive, so the conversion to integers rounds down.
            let corner = (place + reach).fast_trunc_int() - i32x4::splat(KERNEL_REACH_PIXELS as i32);
            let [x, y, ..] = (place - f32x4::from_i32x4(corner)).to_array();
            let [left, top, ..] = corner.to_array();
            let colour =
                kernel(square(left, top), [x, y]).fast_max(f32x4::ZERO).fast_min(f32x4::splat(255.0));
            let [red, green, blue, _] = colour.fast_trunc_int().to_array();
            *pixel = [red as u8, green as u8, blue as u8];
        }
    }
}

/// Interpolates between two rows of two pixels, with weights of 8 bits, and rounds: all numbers are whole, and small enough to be exact.
fn bilinear(rows: [[Colour; 2]; 2], part: [f32; 2]) -> Colour {
    const ONE: f32 = 256.0;
    let [right, down] = part.map(|part| (part * ONE) as i32 as f32);
    let [above, below] =
        rows.map(|[near, far]| near * Colour::splat(ONE - right) + far * Colour::splat(right));
    let sum = above * Colour::splat(ONE - down) + below * Colour::splat(down);
    (sum + Colour::splat(ONE * ONE / 2.0)) * Colour::splat(1.0 / (ONE * ONE))
}

/// Interpolates between the middle ones of four rows of four pixels, and rounds.
fn bicubic(rows: [[Colour; 4]; 4], part: [f32; 2]) -> Colour {
    let [right, down] = part.map(|part| cubic_weights(part).map(Colour::splat));
    let weighted = |values: [Colour; 4], weights: &[Colour; 4]| {
        values[0] * weights[0] + values[1] * weights[1] + values[2] * weights[2] + values[3] * weights[3]
    };
    let columns = std::array::from_fn(|column| weighted(rows.map(|row| row[column]), &down));
    weighted(columns, &right) + Colour::splat(0.5)
}

/// Weights of four neighbours for a point between the second and the third, at `part` from 0 to 1 (Keys 1981, with the
/// slope of -0.75 that image libraries use).
fn cubic_weights(part: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(part + 1.0), near(part), near(1.0 - part), far(2.0 - part)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(level: u8) -> Colour {
        colour_of([level; 3])
    }

    fn levels(colour: Colour) -> [u8; 3] {
        let [red, green, blue, _] = colour.to_array();
        [red as u8, green as u8, blue as u8]
    }

    #[test]
    fn a_cubic_kernel_keeps_more_detail() {
        let weights = cubic_weights(0.5);
        assert_eq!(weights, [-0.09375, 0.59375, 0.59375, -0.09375]);
        for part in [0.0, 0.2, 0.9] {
            assert!((cubic_weights(part).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let between = |line: [u8; 4]| levels(bicubic([line.map(grey); 4], [0.5, 0.5]));
        assert_eq!(between([0, 200, 200, 0]), [238; 3]);
        assert_eq!(between([255, 0, 0, 255]), [0; 3]);
    }

    #[test]
    fn a_linear_kernel_is_exact_in_whole_numbers() {
        for (above, below, part) in [(10, 10, 0.3), (0, 255, 0.999), (255, 255, 0.5), (17, 130, 0.62)] {
            let found = levels(bilinear([[grey(above); 2], [grey(below); 2]], [0.7, part]));
            let down = (part * 256.0) as u32;
            let expected = (u32::from(above) * (256 - down) + u32::from(below) * down) * 256 + 32768;
            assert_eq!(found, [(expected / 65536) as u8; 3], "{above} to {below} at {part}");
        }
    }

    #[test]
    fn a_region_shows_what_the_picture_shows() {
        let pixels: Vec<u8> = (0..30 * 20 * 3).map(|at| (at * 37 % 251) as u8).collect();
        let source = PixelView { pixels: &pixels, width: 30, height: 20 };
        let mut region = Region::default();
        // Inside, over a corner, over the whole picture, and beyond it.
        for (c, f) in [(8.0, 5.0), (-6.0, -4.5), (22.0, 13.3), (300.0, -900.0)] {
            let map = Affine { a: 0.9, b: 0.4, c, d: -0.4, e: 0.9, f };
            let chip = || Chip { width: 14, height: 12, pixels: vec![1; 14 * 12 * 3] };
            let (mut near, mut sparse) = (chip(), chip());
            region.interpolate(&source, &map, 77, Kernel::Linear, &mut near);
            source.interpolate_sparsely(&map, 77, &mut sparse);
            assert_eq!(near.pixels, sparse.pixels, "{c}, {f}");
        }
    }
}
