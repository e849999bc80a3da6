//! Cutting chips out of pictures.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::interpolate::{Kernel, PixelView, Region};
use super::{Affine, Chip, Picture};

/// Cuts chips out of pictures. Keeps its buffers for the next chip.
#[derive(Default)]
pub(crate) struct Sampler {
    resizer: Resizer,
    filtered: Vec<u8>,
    region: Region,
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
            source.interpolate_sparsely(&map, outside, chip);
            return;
        }
        if kernel == Kernel::Linear && self.stretch(&source, &map, chip) {
            return;
        }
        let (x_reduction, y_reduction) = (map.a.hypot(map.b), map.d.hypot(map.e));
        if x_reduction < MIN_FILTERED_REDUCTION && y_reduction < MIN_FILTERED_REDUCTION {
            self.region.interpolate(&source, &map, outside, kernel, chip);
            return;
        }
        let Some((left, top, right, bottom)) = source.covered(&map, chip) else {
            chip.pixels.fill(outside);
            return;
        };
        let reduced = |extent: f32, reduction: f32| (extent / reduction.max(1.0)).ceil().max(1.0);
        let (w, h) = (reduced(right - left, x_reduction), reduced(bottom - top, y_reduction));
        self.filtered.resize(w as usize * h as usize * 3, 0);
        let crop = (left, top, right - left, bottom - top);
        if !resize(&mut self.resizer, &source, crop, &mut self.filtered, w as u32, h as u32) {
            source.interpolate_sparsely(&map, outside, chip);
            return;
        }
        let into = Affine::shift(-left, -top).then(&Affine::scale(w / (right - left), h / (bottom - top)));
        let view = PixelView { pixels: &self.filtered, width: w as u32, height: h as u32 };
        self.region.interpolate(&view, &map.then(&into), outside, kernel, chip);
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

/// Filters a rectangle (left, top, width, height) of `source` to another size. Returns whether that was possible.
fn resize(
    resizer: &mut Resizer,
    source: &PixelView<'_>,
    crop: (f32, f32, f32, f32),
    target: &mut [u8],
    width: u32,
    height: u32,
) -> bool {
    let Ok(from) = TypedImageRef::<U8x3>::from_buffer(source.width, source.height, source.pixels) else {
        return false;
    };
    let Ok(mut to) = TypedImage::<U8x3>::from_buffer(width, height, target) else { return false };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(crop.0.into(), crop.1.into(), crop.2.into(), crop.3.into())
        .use_alpha(false);
    // `resize` would compile the filters of all kinds of pixels into this crate, which takes as long as the rest of it.
    resizer.resize_typed(&from, &mut to, &options).is_ok()
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
            // The chip is rotated, so the fast path is not taken: pixel (i, j) lies at (10 - j, 4 + i) and a half each.
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
    fn only_a_sparse_kernel_keeps_what_is_too_fine() {
        // Two of four columns are white; the chip has one pixel for four.
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
}
