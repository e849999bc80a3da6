//! Decoding JPEG at full or reduced scale by libjpeg-turbo. Unlike the decoder of `image`, it reports corrupt data.

use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use super::PictureFault;
use super::jpeg_markers::{JpegHeader, MAX_SCANS};

/// Decodes at `eighths`/8 of the size to RGB pixels, width and height. The reduction is exact: the point (x, y) of the
/// picture lies at (x, y) * eighths / 8 afterwards. The size is rounded up.
///
/// # Errors
///
/// [`PictureFault::Truncated`] if coded data is missing, [`PictureFault::Corrupt`] if it is damaged.
pub(super) fn decode(
    bytes: &[u8],
    header: &JpegHeader,
    eighths: u8,
) -> Result<(Vec<u8>, u32, u32), PictureFault> {
    let bytes = &*header.without_irregularities(bytes)?;
    let factor = ScalingFactor::new(eighths.into(), 8);
    let prepare = || {
        let mut decompressor = Decompressor::new()?;
        decompressor.set_scan_limit(MAX_SCANS as u32)?;
        let size = decompressor.read_header(bytes)?.scaled(factor);
        if factor != ScalingFactor::ONE {
            decompressor.set_scaling_factor(factor)?;
        }
        Ok((decompressor, size.width, size.height))
    };
    let (mut decompressor, width, height) = prepare().map_err(|error: turbojpeg::Error| fault(&error))?;
    let format = if header.is_cmyk() { PixelFormat::CMYK } else { PixelFormat::RGB };
    let pitch = width * format.size();
    let mut pixels = vec![0; pitch * height];
    let output = Image { pixels: &mut pixels[..], width, pitch, height, format };
    match decompressor.decompress(bytes, output) {
        Err(error) if !is_harmless(&error) => return Err(fault(&error)),
        _ => {}
    }
    let pixels = if header.is_cmyk() { rgb_of_inks(&pixels) } else { pixels };
    Ok((pixels, width as u32, height as u32))
}

/// Converts CMYK to RGB. Files in CMYK are Adobe's, which store what an ink leaves of the light: 255 is no ink.
fn rgb_of_inks(pixels: &[u8]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<4>();
    let of = |ink: u8, black: u8| ((u32::from(ink) * u32::from(black) + 127) / 255) as u8;
    pixels.iter().flat_map(|&[c, m, y, k]| [of(c, k), of(m, k), of(y, k)]).collect()
}

/// Whether the error is only a warning, after which the picture is complete (`jerror.h` of libjpeg).
fn is_harmless(error: &turbojpeg::Error) -> bool {
    let turbojpeg::Error::TurboJpegError(text) = error else { return false };
    ["extraneous bytes before marker", "Invalid SOS parameters"].iter().any(|warning| text.contains(warning))
}

fn fault(error: &turbojpeg::Error) -> PictureFault {
    if error.to_string().contains("remature end") { PictureFault::Truncated } else { PictureFault::Corrupt }
}
