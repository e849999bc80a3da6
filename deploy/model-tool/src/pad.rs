//! A border for pictures that are cropped close to the face, since the detector needs some space around it.

use std::io::Cursor;

use image::{ImageFormat, RgbImage, imageops};

/// The picture with a black border, in a lossless format.
pub(crate) fn padded(bytes: &[u8], pad: u32) -> image::ImageResult<Vec<u8>> {
    let picture = image::load_from_memory(bytes)?.into_rgb8();
    let mut larger = RgbImage::new(picture.width() + 2 * pad, picture.height() + 2 * pad);
    imageops::replace(&mut larger, &picture, pad.into(), pad.into());
    let mut file = Cursor::new(Vec::new());
    larger.write_to(&mut file, ImageFormat::Bmp)?;
    Ok(file.into_inner())
}
