//! A decoded picture.

use image::metadata::Orientation;

use super::Affine;

/// Pixels as they are stored, and the map to them from the upright picture.
#[derive(Debug)]
pub(crate) struct Picture {
    /// RGB, 8 bits per channel, row after row.
    pub(super) pixels: Vec<u8>,
    /// Pixels per stored row, which may be fewer than received.
    pub(super) width: u32,
    /// Number of stored rows.
    pub(super) height: u32,
    /// Maps a point at the received size, after orientation, to stored pixels.
    pub(super) from_upright: Affine,
    /// Width and height at the received size, after orientation.
    size: (u32, u32),
    /// Stored pixels per received pixel in each direction, at most 1.
    scale: f32,
}

impl Picture {
    /// `received` is the size of the file's picture before orientation. `scale` is the scale at which it was decoded.
    pub(super) fn new(
        pixels: Vec<u8>,
        (width, height): (u32, u32),
        received: (u32, u32),
        scale: f32,
        orientation: Orientation,
    ) -> Self {
        let to_upright = orientation_map(orientation, received.0 as f32, received.1 as f32);
        let from_upright = to_upright.inverse().then(&Affine::scale(scale, scale));
        let is_transposed = to_upright.a == 0.0;
        let size = if is_transposed { (received.1, received.0) } else { received };
        Self { pixels, width, height, from_upright, size, scale }
    }

    /// An upright picture of 8-bit RGB, row after row.
    pub(crate) fn from_rgb(pixels: Vec<u8>, size: (u32, u32)) -> Self {
        debug_assert_eq!(pixels.len(), 3 * size.0 as usize * size.1 as usize, "three bytes a pixel");
        Self::new(pixels, size, size, 1.0, Orientation::NoTransforms)
    }

    /// Width and height at the received size, after orientation.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Stored pixels per received pixel in each direction, at most 1.
    pub(crate) fn scale(&self) -> f32 {
        self.scale
    }
}

/// Maps stored to upright coordinates, for a stored picture of width `w` and height `h` (EXIF 2.3, 4.6.4 A).
fn orientation_map(orientation: Orientation, w: f32, h: f32) -> Affine {
    let map = |a, b, c, d, e, f| Affine { a, b, c, d, e, f };
    match orientation {
        Orientation::NoTransforms => Affine::IDENTITY,
        Orientation::FlipHorizontal => map(-1.0, 0.0, w, 0.0, 1.0, 0.0),
        Orientation::Rotate180 => map(-1.0, 0.0, w, 0.0, -1.0, h),
        Orientation::FlipVertical => map(1.0, 0.0, 0.0, 0.0, -1.0, h),
        Orientation::Rotate90FlipH => map(0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
        Orientation::Rotate90 => map(0.0, -1.0, h, 1.0, 0.0, 0.0),
        Orientation::Rotate270FlipH => map(0.0, -1.0, h, -1.0, 0.0, w),
        Orientation::Rotate270 => map(0.0, 1.0, 0.0, -1.0, 0.0, w),
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;

    #[test]
    fn orientation_is_that_of_turning_the_pixels() {
        let stored = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 0]));
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut upright = DynamicImage::from(stored.clone());
            upright.apply_orientation(orientation);
            let upright = upright.to_rgb8();
            let picture = Picture::new(stored.clone().into_raw(), (5, 3), (5, 3), 1.0, orientation);
            assert_eq!(picture.size(), upright.dimensions());
            for (x, y, pixel) in upright.enumerate_pixels() {
                let [sx, sy] = picture.from_upright.apply([x as f32 + 0.5, y as f32 + 0.5]);
                assert_eq!(stored.get_pixel(sx as u32, sy as u32), pixel, "exif {exif}, {x}, {y}");
            }
        }
    }
}
