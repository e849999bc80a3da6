//! The part of an original that a medium shows: a portrait, or head and shoulders.
//!
//! The crop of a liveness network is a few faces wide. So the width of the medium relative to the face decides whether
//! the network sees borders, hands and the background, or only the inside of the medium.

use image::{RgbImage, imageops};

use super::{between, happens};
use crate::SplitMix64;

/// Position and size of the face in an original, as the detector found it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceArea {
    /// Middle of the detector's box, pixels from the left and upper edges.
    pub middle: [f32; 2],
    /// Side of the square that has the box's area, pixels.
    pub side: f32,
}

impl FaceArea {
    /// The area of a detector's box. `x` and `y` are its upper left corner; all values are in pixels.
    #[must_use]
    pub fn of_box(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { middle: [x + width / 2.0, y + height / 2.0], side: (width * height).sqrt() }
    }
}

/// Framing of the face on a medium. Measured on prints and screens of five sources.
#[derive(Clone, Copy, Debug)]
struct Framing {
    /// Width of the shown part relative to the face's side; drawn log-uniformly.
    width: (f32, f32),
    /// Height of the shown part relative to its width.
    height: (f32, f32),
    /// Distance of the face's middle from the upper edge, as a part of the height.
    place: (f32, f32),
}

/// An upright portrait: that of three of the five sources, and that of ISO/IEC 19794-5 (four eye distances wide, about
/// 1.6 faces).
const UPRIGHT: Framing = Framing { width: (1.25, 1.9), height: (1.15, 1.45), place: (0.45, 0.55) };
/// Head and shoulders on a medium that is wider than high: two of the five sources. The widths measured in them are 3.3
/// and 4.0 faces; the lower end is an estimate.
const WIDE: Framing = Framing { width: (2.6, 4.0), height: (0.7, 0.75), place: (0.37, 0.55) };
/// Share of upright media: three of five sources.
const UPRIGHT_SHARE: f32 = 0.6;

/// The shown part of an original, clipped to it.
pub(super) fn portrait(original: &RgbImage, face: FaceArea, random: &mut SplitMix64) -> RgbImage {
    let framing = if happens(random, UPRIGHT_SHARE) { UPRIGHT } else { WIDE };
    let width = face.side * between(random, (framing.width.0.ln(), framing.width.1.ln())).exp();
    let height = width * between(random, framing.height);
    let top = face.middle[1] - height * between(random, framing.place);
    let left = face.middle[0] - width / 2.0;
    let (x, wide) = clipped(left, width, original.width());
    let (y, high) = clipped(top, height, original.height());
    imageops::crop_imm(original, x, y, wide, high).to_image()
}

/// First pixel and length of the part of a range that lies within `limit` pixels. The length is at least one pixel.
fn clipped(start: f32, length: f32, limit: u32) -> (u32, u32) {
    let first = (start.max(0.0) as u32).min(limit.saturating_sub(1));
    let end = ((start + length).max(0.0).round() as u32).clamp(first + 1, limit.max(first + 1));
    (first, end - first)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn media_are_upright_portraits_or_wide_and_have_the_face_in_the_middle() {
        let picture = RgbImage::from_fn(1000, 1000, |x, y| Rgb([(x / 4) as u8, (y / 4) as u8, 0]));
        let face = FaceArea::of_box(450.0, 440.0, 80.0, 125.0);
        assert_eq!(face.side, 100.0);
        let mut upright = 0;
        for seed in 0..200 {
            let shown = portrait(&picture, face, &mut SplitMix64::new(seed));
            let (width, height) = shown.dimensions();
            let widths = if height > width { 124..=191 } else { 259..=401 };
            assert!(widths.contains(&width), "{width}x{height}");
            upright += u32::from(height > width);
            // The picture's pixel values encode the column and the row of each pixel.
            let [column, row, _] = shown.get_pixel(width / 2, height / 2).0;
            assert!(column.abs_diff(122) <= 1 && row.abs_diff(125) < 16, "{column} {row}");
        }
        assert!((100..=140).contains(&upright), "{upright} of 200");
    }

    #[test]
    fn a_portrait_ends_at_the_original_s_edge() {
        let picture = RgbImage::new(120, 100);
        for seed in 0..50 {
            let shown =
                portrait(&picture, FaceArea::of_box(-10.0, 40.0, 100.0, 100.0), &mut SplitMix64::new(seed));
            assert!(shown.width() <= 120 && shown.height() <= 100 && shown.width() > 40);
        }
        assert_eq!(clipped(130.0, 20.0, 120), (119, 1));
    }
}
