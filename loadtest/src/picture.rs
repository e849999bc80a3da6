//! Makes pictures of the measured sizes from a portrait under a free licence.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;

/// JPEG quality that phones use.
const JPEG_QUALITY: u8 = 90;

/// A JPEG of `width` x `height` with the portrait in the middle, as high as the picture.
pub(crate) fn portrait(path: &Path, width: u32, height: u32) -> anyhow::Result<Bytes> {
    let portrait = image::open(path)
        .with_context(|| format!("{}: is it installed? `make models` does that", path.display()))?
        .to_rgb8();
    let scale = f64::from(height) / f64::from(portrait.height());
    let scaled_width = (f64::from(portrait.width()) * scale).round() as u32;
    let scaled = image::imageops::resize(&portrait, scaled_width, height, FilterType::Triangle);
    let mut picture = image::RgbImage::from_pixel(width, height, image::Rgb([120, 124, 130]));
    let left = (i64::from(width) - i64::from(scaled_width)) / 2;
    image::imageops::overlay(&mut picture, &scaled, left, 0);
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).encode_image(&picture)?;
    Ok(file.into_inner().into())
}
