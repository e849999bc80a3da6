//! Cutting chips out of pictures.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Affine, Picture};

/// A small picture, cut out of a large one for a model: RGB, 8 bits each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Chip {
    /// The map that brings the chip onto the unit square.
    pub(crate) fn to_unit(&self) -> Affine {
        Affine::scale(1.0 / self.width as f32, 1.0 / self.height as f32)
    }
}

/// Cuts chips out of pictures; keeps its buffers between them.
#[derive(Default)]
pub(crate) struct Sampler {
    resizer: Resizer,
    scratch: Vec<u8>,
}

/// Stored pixels for one of the chip from which on the picture is filtered down first, lest it alias.
const REDUCTION: f32 = 1.3;

impl Sampler {
    /// Fills `chip` (its size stays) with what lies under it: `to_upright` maps the chip's coordinates to the
    /// picture's. What is outside the picture becomes `ground`.
    pub(crate) fn cut(&mut self, picture: &Picture, to_upright: &Affine, ground: u8, chip: &mut Chip) {
        let (width, height) = (chip.width, chip.height);
        chip.pixels.resize((width * height * 3) as usize, ground);
        let map = to_upright.then(&picture.from_upright);
        let source = View { pixels: &picture.pixels, width: picture.width, height: picture.height };
        if self.stretch(&source, &map, chip) {
            return;
        }
        let (x_reduction, y_reduction) = (map.a.hypot(map.b), map.d.hypot(map.e));
        if x_reduction < REDUCTION && y_reduction < REDUCTION {
            bilinear(&source, &map, ground, chip);
            return;
        }
        let Some((left, top, right, bottom)) = covered(&source, &map, chip) else {
            chip.pixels.fill(ground);
            return;
        };
        let reduced = |extent: f32, reduction: f32| (extent / reduction.max(1.0)).ceil().max(1.0);
        let (w, h) = (reduced(right - left, x_reduction), reduced(bottom - top, y_reduction));
        self.scratch.resize(w as usize * h as usize * 3, 0);
        let crop = (left, top, right - left, bottom - top);
        if !resize(&mut self.resizer, &source, crop, &mut self.scratch, w as u32, h as u32) {
            bilinear(&source, &map, ground, chip);
            return;
        }
        let into = Affine::shift(-left, -top).then(&Affine::scale(w / (right - left), h / (bottom - top)));
        let view = View { pixels: &self.scratch, width: w as u32, height: h as u32 };
        bilinear(&view, &map.then(&into), ground, chip);
    }

    /// The quick way, where the chip is an upright rectangle of the stored picture. Says whether it was.
    fn stretch(&mut self, source: &View<'_>, map: &Affine, chip: &mut Chip) -> bool {
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

struct View<'p> {
    pixels: &'p [u8],
    width: u32,
    height: u32,
}

/// Filters a rectangle (left, top, width, height) of `source` to another size.
fn resize(
    resizer: &mut Resizer,
    source: &View<'_>,
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
fn covered(source: &View<'_>, map: &Affine, chip: &Chip) -> Option<(f32, f32, f32, f32)> {
    let (w, h) = (chip.width as f32, chip.height as f32);
    let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|corner| map.apply(corner));
    let low = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::INFINITY, f32::min);
    let high = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::NEG_INFINITY, f32::max);
    let (left, top) = ((low(0) - 1.0).floor().max(0.0), (low(1) - 1.0).floor().max(0.0));
    let right = (high(0) + 1.0).ceil().min(source.width as f32);
    let bottom = (high(1) + 1.0).ceil().min(source.height as f32);
    (left < right && top < bottom).then_some((left, top, right, bottom))
}

/// Samples `source` at every pixel of the chip, with weights of 8 bits.
fn bilinear(source: &View<'_>, map: &Affine, ground: u8, chip: &mut Chip) {
    let (width, height) = (i64::from(source.width), i64::from(source.height));
    let stride = source.width as usize * 3;
    let tap = |x: i64, y: i64| -> [i32; 3] {
        if x < 0 || y < 0 || x >= width || y >= height {
            return [ground.into(); 3];
        }
        let at = y as usize * stride + x as usize * 3;
        [source.pixels[at].into(), source.pixels[at + 1].into(), source.pixels[at + 2].into()]
    };
    let (pixels, _) = chip.pixels.as_chunks_mut::<3>();
    for (j, row) in pixels.chunks_exact_mut(chip.width as usize).enumerate() {
        for (i, pixel) in row.iter_mut().enumerate() {
            let [x, y] = map.apply([i as f32 + 0.5, j as f32 + 0.5]);
            let (x, y) = (x - 0.5, y - 0.5);
            let (left, top) = (x.floor(), y.floor());
            let (wx, wy) = (((x - left) * 256.0) as i32, ((y - top) * 256.0) as i32);
            let (left, top) = (left as i64, top as i64);
            let taps = [tap(left, top), tap(left + 1, top), tap(left, top + 1), tap(left + 1, top + 1)];
            for (channel, value) in pixel.iter_mut().enumerate() {
                let above = taps[0][channel] * (256 - wx) + taps[1][channel] * wx;
                let below = taps[2][channel] * (256 - wx) + taps[3][channel] * wx;
                *value = ((above * (256 - wy) + below * wy + (1 << 15)) >> 16) as u8;
            }
        }
    }
}
