//! Converting any picture to an upright JPEG without metadata.

use image::{DynamicImage, RgbImage, imageops};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::{Picture, PictureFault, PictureLimits, Source};

/// JPEG qualities of at most 100 that are tried in turn until the file is small enough. Above 90, files grow without a
/// visible difference.
const QUALITIES: [i32; 6] = [90, 75, 50, 30, 15, 5];

/// Largest size of the file in bytes. It travels in a message, and brokers accept 16 MiB. Portraits of 50 megapixels
/// are far smaller; noise is not.
const MAX_FILE_BYTES: usize = 8 << 20;

/// The longest side in pixels that libjpeg writes (`JPEG_MAX_DIMENSION`); the format allows more.
const MAX_SIDE_PIXELS: u32 = 65_500;

/// Converts a picture to an upright JPEG of the received size without metadata.
///
/// # Errors
/// [`PictureFault`]: the bytes are no picture, a damaged one, or one beyond `limits`.
pub fn compress(bytes: &[u8], limits: &PictureLimits) -> Result<Vec<u8>, PictureFault> {
    let mut source = Source::open(bytes, limits)?;
    let orientation = source.orientation();
    let Picture { pixels, width, height, .. } = source.decode(u32::MAX)?;
    let side = width.max(height);
    if side > MAX_SIDE_PIXELS {
        return Err(PictureFault::SideTooLong { side, limit: MAX_SIDE_PIXELS });
    }
    let stored = RgbImage::from_raw(width, height, pixels).ok_or(PictureFault::Corrupt)?;
    let mut upright = DynamicImage::from(stored);
    upright.apply_orientation(orientation);
    let upright = upright.into_rgb8();
    for quality in QUALITIES {
        let jpeg = encode(&upright, quality).map_err(|error| {
            tracing::error!(%error, "a decoded picture cannot be encoded");
            PictureFault::TooMuchMemory
        })?;
        if jpeg.len() <= MAX_FILE_BYTES {
            return Ok(jpeg);
        }
    }
    Err(PictureFault::TooMuchMemory)
}

/// The stored pixels of a picture as a JPEG, rotated clockwise by 0, 90, 180 or 270 degrees; `None` if they cannot be encoded.
pub(crate) fn encode_upright(picture: &Picture, degrees: u16, quality: i32) -> Option<Vec<u8>> {
    let stored = RgbImage::from_raw(picture.width, picture.height, picture.pixels.clone())?;
    let upright = match degrees {
        90 => imageops::rotate90(&stored),
        180 => imageops::rotate180(&stored),
        270 => imageops::rotate270(&stored),
        _ => stored,
    };
    encode(&upright, quality).inspect_err(|error| tracing::error!(%error, "a frame cannot be encoded")).ok()
}

fn encode(picture: &RgbImage, quality: i32) -> Result<Vec<u8>, turbojpeg::Error> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut compressor = Compressor::new()?;
    compressor.set_quality(quality)?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    let pixels = &picture.as_raw()[..];
    compressor.compress_to_vec(Image { pixels, width, pitch: width * 3, height, format: PixelFormat::RGB })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::metadata::Orientation;
    use image::{ImageEncoder as _, ImageFormat, Rgb, codecs::jpeg::JpegEncoder};

    use super::*;

    /// A picture in which every point has its own colour.
    fn scene() -> RgbImage {
        RgbImage::from_fn(96, 64, |x, y| Rgb([(40 + 2 * x) as u8, (20 + 3 * y) as u8, 90]))
    }

    fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A TIFF directory with the orientation alone.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        tiff
    }

    fn assert_shows_the_scene(jpeg: &[u8]) {
        let shown = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().into_rgb8();
        let scene = scene();
        assert_eq!(shown.dimensions(), scene.dimensions());
        let difference = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
        let mean = shown.iter().zip(scene.iter()).map(difference).sum::<f64>() / scene.len() as f64;
        assert!(mean < 2.0, "{mean}");
    }

    #[test]
    fn every_format_becomes_a_jpeg_of_the_same_size() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp] {
            let bytes = encoded(&scene(), format);
            assert_shows_the_scene(&compress(&bytes, &PictureLimits::default()).unwrap());
        }
    }

    #[test]
    fn the_result_is_upright_and_says_nothing_of_the_camera() {
        for tag in 1..=8 {
            // The orientation that this one undoes: the rotations by 90 and 270 degrees swap, the others undo
            // themselves.
            let undone = Orientation::from_exif([1, 2, 3, 4, 5, 8, 7, 6][usize::from(tag) - 1]).unwrap();
            let mut stored = DynamicImage::from(scene());
            stored.apply_orientation(undone);
            let stored = stored.into_rgb8();
            let mut bytes = Vec::new();
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
            encoder.set_exif_metadata(exif(tag)).unwrap();
            encoder
                .write_image(&stored, stored.width(), stored.height(), image::ExtendedColorType::Rgb8)
                .unwrap();
            assert!(memchr::memmem::find(&bytes, b"Exif").is_some());
            let jpeg = compress(&bytes, &PictureLimits::default()).unwrap();
            assert_shows_the_scene(&jpeg);
            assert!(memchr::memmem::find(&jpeg, b"Exif").is_none());
        }
    }

    #[test]
    fn noise_is_made_small_enough_for_a_message() {
        // One tile of noise, repeated: short as a PNG, long as a JPEG.
        let mut state = 1_u32;
        let tile: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state & 1 << 31 == 0 { 0 } else { 255 }
        })
        .take(64 * 64)
        .collect();
        let noise = RgbImage::from_fn(4000, 4000, |x, y| Rgb([tile[(y % 64 * 64 + x % 64) as usize]; 3]));
        assert!(encode(&noise, QUALITIES[0]).unwrap().len() > MAX_FILE_BYTES);
        let jpeg = compress(&encoded(&noise, ImageFormat::Png), &PictureLimits::default()).unwrap();
        assert!(jpeg.len() <= MAX_FILE_BYTES, "{}", jpeg.len());
    }

    #[test]
    fn limits_are_those_of_every_picture() {
        let bytes = encoded(&scene(), ImageFormat::Png);
        let few = PictureLimits { pixels: 6000, ..PictureLimits::default() };
        assert_eq!(
            compress(&bytes, &few).unwrap_err(),
            PictureFault::TooManyPixels { pixels: 6144, limit: 6000 }
        );
        assert_eq!(
            compress(b"no picture", &PictureLimits::default()).unwrap_err(),
            PictureFault::NotAPicture
        );
        assert!(compress(&bytes[..bytes.len() / 2], &PictureLimits::default()).is_err());
        // A line that can be read, but not written.
        let mut line = b"P5 65535 1 255\n".to_vec();
        line.resize(line.len() + 65_535, 0);
        assert_eq!(
            compress(&line, &PictureLimits::default()).unwrap_err(),
            PictureFault::SideTooLong { side: 65_535, limit: 65_500 }
        );
    }
}
