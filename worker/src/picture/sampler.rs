//! Cutting chips out of pictures.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Affine, Picture};

/// A small picture that was cut out of a large one for a model: RGB, 8 bits per channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Chip {
    /// Maps the chip onto the unit square.
    pub(crate) fn to_unit(&self) -> Affine {
        Affine::scale(1.0 / self.width as f32, 1.0 / self.height as f32)
    }

    /// Swaps left and right.
    pub(crate) fn mirror(&mut self) {
        let (pixels, _) = self.pixels.as_chunks_mut::<3>();
        pixels.chunks_exact_mut(self.width as usize).for_each(<[_]>::reverse);
    }
}

/// How a chip's pixels are interpolated.
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

/// Cuts chips out of pictures. Keeps its buffers for the next chip.
#[derive(Default)]
pub(crate) struct Sampler {
    resizer: Resizer,
    scratch: Vec<u8>,
}

/// From this many stored pixels per pixel of the chip on, the picture is filtered first, since it would alias
/// otherwise.
const MIN_FILTERED_REDUCTION: f32 = 1.3;

impl Sampler {
    /// Fills `chip`, whose size stays, with the part of the picture under it. `to_upright` maps the chip's coordinates
    /// to the picture's. Pixels outside the picture get the level `outside`. `kernel` is used where the picture is not
    /// filtered.
    pub(crate) fn cut(
        &mut self,
        picture: &Picture,
        to_upright: &Affine,
        outside: u8,
        kernel: Kernel,
        chip: &mut Chip,
    ) {
        let (width, height) = (chip.width, chip.height);
        chip.pixels.resize((width * height * 3) as usize, outside);
        let map = to_upright.then(&picture.from_upright);
        let source = PixelView { pixels: &picture.pixels, width: picture.width, height: picture.height };
        if kernel == Kernel::Sparse {
            interpolate(&source, &map, outside, kernel, chip);
            return;
        }
        if kernel == Kernel::Linear && self.stretch(&source, &map, chip) {
            return;
        }
        let (x_reduction, y_reduction) = (map.a.hypot(map.b), map.d.hypot(map.e));
        if x_reduction < MIN_FILTERED_REDUCTION && y_reduction < MIN_FILTERED_REDUCTION {
            interpolate(&source, &map, outside, kernel, chip);
            return;
        }
        let Some((left, top, right, bottom)) = covered(&source, &map, chip) else {
            chip.pixels.fill(outside);
            return;
        };
        let reduced = |extent: f32, reduction: f32| (extent / reduction.max(1.0)).ceil().max(1.0);
        let (w, h) = (reduced(right - left, x_reduction), reduced(bottom - top, y_reduction));
        self.scratch.resize(w as usize * h as usize * 3, 0);
        let crop = (left, top, right - left, bottom - top);
        if !resize(&mut self.resizer, &source, crop, &mut self.scratch, w as u32, h as u32) {
            interpolate(&source, &map, outside, kernel, chip);
            return;
        }
        let into = Affine::shift(-left, -top).then(&Affine::scale(w / (right - left), h / (bottom - top)));
        let view = PixelView { pixels: &self.scratch, width: w as u32, height: h as u32 };
        interpolate(&view, &map.then(&into), outside, kernel, chip);
    }

    /// The fast path for a chip that is an upright rectangle inside the stored picture. Returns whether it was taken.
    fn stretch(&mut self, source: &PixelView<'_>, map: &Affine, chip: &mut Chip) -> bool {
        const SLACK: f32 = 1e-2;
        if map.b != 0.0 || map.d != 0.0 || map.a <= 0.0 || map.e <= 0.0 {
            return false;
        }
        let (w, h) = (map.a * chip.width as f32, map.e * chip.height as f32);
        let inside = map.c >= -SLACK
            && map.f >= -SLACK
            && map.c + w <= source.width as f32 + SLACK
            && map.f + h <= source.height as f32 + SLACK;
        if !inside {
            return false;
        }
        let (left, top) = (map.c.max(0.0), map.f.max(0.0));
        let crop = (left, top, w.min(source.width as f32 - left), h.min(source.height as f32 - top));
        resize(&mut self.resizer, source, crop, &mut chip.pixels, chip.width, chip.height)
    }
}

/// Pixels that are sampled.
struct PixelView<'p> {
    pixels: &'p [u8],
    width: u32,
    height: u32,
}

impl PixelView<'_> {
    /// `N` rows of `N` neighbours (`M` = 3 `N` bytes each) from `left` and `top` on; `outside` where there is no pixel.
    fn square<const N: usize, const M: usize>(&self, left: i32, top: i32, outside: u8) -> [[u8; M]; N] {
        let (width, height) = (self.width as i32, self.height as i32);
        let mut rows = [[outside; M]; N];
        if left >= 0 && top >= 0 && left + N as i32 <= width && top + N as i32 <= height {
            // Not `chunks`, whose number of pieces costs a division for every pixel of the chip.
            let stride = self.width as usize * 3;
            let mut at = top as usize * stride + left as usize * 3;
            for row in &mut rows {
                if let Some(known) = self.pixels.get(at..).and_then(|rest| rest.first_chunk()) {
                    *row = *known;
                }
                at += stride;
            }
            return rows;
        }
        for (y, row) in (top..).zip(&mut rows) {
            let (pixels, _) = row.as_chunks_mut::<3>();
            for (x, pixel) in (left..).zip(pixels) {
                if (0..width).contains(&x) && (0..height).contains(&y) {
                    let at = (y as usize * width as usize + x as usize) * 3;
                    pixel.copy_from_slice(&self.pixels[at..at + 3]);
                }
            }
        }
        rows
    }
}

/// Filters a rectangle (left, top, width, height) of `source` to another size. Returns whether that was possible.
fn resize(
    resizer: &mut Resizer,
    source: &PixelView<'_>,
    crop: (f32, f32, f32, f32),
    target: &mut [u8],
    width: u32,
    height: u32,
) -> bool {
    let Ok(from) = ImageRef::new(source.width, source.height, source.pixels, PixelType::U8x3) else {
        return false;
    };
    let Ok(mut to) = Image::from_slice_u8(width, height, target, PixelType::U8x3) else { return false };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(crop.0.into(), crop.1.into(), crop.2.into(), crop.3.into())
        .use_alpha(false);
    resizer.resize(&from, &mut to, &options).is_ok()
}

/// The part of the picture that the chip shows, on whole pixels: left, top, right, bottom.
fn covered(source: &PixelView<'_>, map: &Affine, chip: &Chip) -> Option<(f32, f32, f32, f32)> {
    let (w, h) = (chip.width as f32, chip.height as f32);
    let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|corner| map.apply(corner));
    let low = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::INFINITY, f32::min);
    let high = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::NEG_INFINITY, f32::max);
    let (left, top) = ((low(0) - 1.0).floor().max(0.0), (low(1) - 1.0).floor().max(0.0));
    let right = (high(0) + 1.0).ceil().min(source.width as f32);
    let bottom = (high(1) + 1.0).ceil().min(source.height as f32);
    (left < right && top < bottom).then_some((left, top, right, bottom))
}

/// Samples `source` at every pixel of the chip.
fn interpolate(source: &PixelView<'_>, map: &Affine, outside: u8, kernel: Kernel, chip: &mut Chip) {
    let (width, height) = (source.width as f32, source.height as f32);
    let (pixels, _) = chip.pixels.as_chunks_mut::<3>();
    for (j, row) in pixels.chunks_exact_mut(chip.width as usize).enumerate() {
        for (i, pixel) in row.iter_mut().enumerate() {
            let [x, y] = map.apply([i as f32 + 0.5, j as f32 + 0.5]);
            // Beyond these bounds all pixels are outside. Within them the sums are positive, so that the conversion to
            // an integer rounds down; `floor` would be a function call for every pixel.
            let (x, y) = (
                (x - 0.5).clamp(-KERNEL_REACH_PIXELS, width + KERNEL_REACH_PIXELS),
                (y - 0.5).clamp(-KERNEL_REACH_PIXELS, height + KERNEL_REACH_PIXELS),
            );
            let (left, top) = (
                (x + KERNEL_REACH_PIXELS) as i32 - KERNEL_REACH_PIXELS as i32,
                (y + KERNEL_REACH_PIXELS) as i32 - KERNEL_REACH_PIXELS as i32,
            );
            let part = [x - left as f32, y - top as f32];
            *pixel = match kernel {
                Kernel::Linear | Kernel::Sparse => bilinear(&source.square(left, top, outside), part),
                Kernel::Cubic => bicubic(&source.square(left - 1, top - 1, outside), part),
            };
        }
    }
}

/// Most pixels that a kernel reaches to each side.
const KERNEL_REACH_PIXELS: f32 = 2.0;

/// Interpolates between two rows of two pixels, with weights of 8 bits. `part` is the position to the right and
/// downwards, 0 to 1.
fn bilinear([above, below]: &[[u8; 6]; 2], part: [f32; 2]) -> [u8; 3] {
    const ONE: i32 = 256;
    let [right, down] = part.map(|part| (part * ONE as f32) as i32);
    std::array::from_fn(|channel| {
        let across =
            |row: &[u8; 6]| i32::from(row[channel]) * (ONE - right) + i32::from(row[channel + 3]) * right;
        ((across(above) * (ONE - down) + across(below) * down + ONE * ONE / 2) / (ONE * ONE)) as u8
    })
}

/// Interpolates between the middle ones of four rows of four pixels. `part` as for [`bilinear`].
fn bicubic(rows: &[[u8; 12]; 4], part: [f32; 2]) -> [u8; 3] {
    let [right, down] = part.map(cubic_weights);
    let mut columns = [0.0_f32; 12];
    for (row, weight) in rows.iter().zip(down) {
        for (sum, &value) in columns.iter_mut().zip(row) {
            *sum += f32::from(value) * weight;
        }
    }
    std::array::from_fn(|channel| {
        let sum: f32 = (0..4).map(|column| columns[column * 3 + channel] * right[column]).sum();
        // Rounds; the conversion clamps at both ends.
        (sum + 0.5) as u8
    })
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
    use image::metadata::Orientation;

    use super::*;

    const KERNELS: [Kernel; 3] = [Kernel::Linear, Kernel::Cubic, Kernel::Sparse];

    /// A picture whose red is 3 x + y + 40.
    fn slope() -> Picture {
        let pixels = (0..24 * 16).flat_map(|at| [(3 * (at % 24) + at / 24 + 40) as u8, 7, 200]).collect();
        Picture::new(pixels, (24, 16), (24, 16), 1.0, Orientation::NoTransforms)
    }

    fn cut(map: &Affine, kernel: Kernel, (width, height): (u32, u32)) -> Vec<[u8; 3]> {
        let mut chip = Chip { width, height, pixels: Vec::new() };
        Sampler::default().cut(&slope(), map, 9, kernel, &mut chip);
        chip.pixels.as_chunks().0.to_vec()
    }

    #[test]
    fn whole_pixels_are_kept_and_slopes_are_interpolated() {
        for kernel in KERNELS {
            assert_eq!(
                cut(&Affine::shift(5.0, 4.0), kernel, (1, 1)),
                [[3 * 5 + 4 + 40, 7, 200]],
                "{kernel:?}"
            );
            // Rotated, so that the fast path is not taken: pixel (i, j) lies at (10 - j, 4 + i) and a half each.
            let rotated = Affine { a: 0.0, b: -1.0, c: 11.5, d: 1.0, e: 0.0, f: 4.5 };
            let found = cut(&rotated, kernel, (3, 2));
            for (at, pixel) in found.iter().enumerate() {
                let (x, y) = (10.5 - (at / 3) as f32, 4.5 + (at % 3) as f32);
                assert!((f32::from(pixel[0]) - (3.0 * x + y + 40.0)).abs() <= 0.51, "{kernel:?}: {found:?}");
                assert_eq!(pixel[1..], [7, 200]);
            }
        }
    }

    #[test]
    fn outside_is_ground_however_far() {
        for kernel in KERNELS {
            for far in [30.0, 1e6, f32::MAX, -30.0, -1e6, f32::MIN] {
                for map in [Affine::shift(far, 0.0), Affine::shift(0.0, far)] {
                    assert_eq!(cut(&map, kernel, (2, 2)), [[9; 3]; 4], "{kernel:?}, {far}");
                }
            }
            // At the border a pixel mixes with the outside, equally on all sides.
            let border = |x, y| cut(&Affine::shift(x, y), kernel, (1, 1))[0][1];
            let sides = [border(-0.5, 8.0), border(23.5, 8.0), border(10.0, -0.5), border(10.0, 15.5)];
            assert_eq!(sides, [8; 4], "{kernel:?}");
        }
    }

    #[test]
    fn a_cubic_kernel_keeps_more_detail() {
        let weights = cubic_weights(0.5);
        assert_eq!(weights, [-0.09375, 0.59375, 0.59375, -0.09375]);
        for part in [0.0, 0.2, 0.9] {
            assert!((cubic_weights(part).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let line = [0, 0, 0, 200, 200, 200, 200, 200, 200, 0, 0, 0];
        assert_eq!(bicubic(&[line; 4], [0.5, 0.5]), [238; 3]);
        assert_eq!(bicubic(&[[255, 255, 255, 0, 0, 0, 0, 0, 0, 255, 255, 255]; 4], [0.5, 0.5]), [0; 3]);
    }

    #[test]
    fn only_a_sparse_kernel_keeps_what_is_too_fine() {
        // Of four columns two are white; the chip has a pixel for four.
        let pixels = (0..24 * 16).flat_map(|at| [if at % 4 < 2 { 0 } else { 200 }; 3]).collect();
        let picture = Picture::new(pixels, (24, 16), (24, 16), 1.0, Orientation::NoTransforms);
        let cut = |kernel| {
            let mut chip = Chip { width: 4, height: 3, pixels: Vec::new() };
            let map = Affine::scale(4.0, 4.0).then(&Affine::shift(3.0, 2.0));
            Sampler::default().cut(&picture, &map, 9, kernel, &mut chip);
            chip.pixels[3]
        };
        assert_eq!(cut(Kernel::Sparse), 0);
        assert!((80..120).contains(&cut(Kernel::Linear)), "{}", cut(Kernel::Linear));
    }

    #[test]
    fn a_mirror_swaps_left_and_right() {
        let mut chip = Chip { width: 2, height: 2, pixels: (0..12).collect() };
        chip.mirror();
        assert_eq!(chip.pixels, [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
    }
}
