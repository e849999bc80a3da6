//! JPEG: reading the markers, and decoding at full or reduced scale by libjpeg-turbo. Unlike the decoder of `image`, it
//! reports corrupt data.

use image::metadata::Orientation;
use memchr::memmem;
use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use super::PictureFault;

/// Most scans of a progressive picture; encoders write about ten.
const MAX_SCANS: usize = 100;

/// The content of a JPEG's markers before its first scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct JpegHeader {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    /// Number of scans.
    pub(super) scans: usize,
    components: u8,
}

impl JpegHeader {
    /// Reads the markers. Allocates no memory and decodes nothing.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PictureFault> {
        let mut frame = None;
        let mut orientation = None;
        let mut at = 2;
        loop {
            let (marker, start) = next_marker(bytes, at)?;
            // Restart markers and TEM have no content.
            if matches!(marker, 0x01 | 0xd0..=0xd7) {
                at = start;
                continue;
            }
            if marker == 0xd9 {
                return Err(PictureFault::Corrupt);
            }
            let length = bytes.get(start..start + 2).ok_or(PictureFault::Truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(PictureFault::Corrupt);
            }
            let content = bytes.get(start + 2..start + length).ok_or(PictureFault::Truncated)?;
            match marker {
                // All SOFn; C4, C8 and CC between them are other markers.
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    frame = Some(Self::frame(content)?);
                }
                0xe1 if orientation.is_none() => {
                    orientation = content.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                }
                0xda => {
                    let scans = count_scans(&bytes[start..])?;
                    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                    return frame
                        .map(|frame| Self { orientation, scans, ..frame })
                        .ok_or(PictureFault::Corrupt);
                }
                _ => {}
            }
            at = start + length;
        }
    }

    fn frame(content: &[u8]) -> Result<Self, PictureFault> {
        let [precision, y1, y2, x1, x2, components, ..] = *content else {
            return Err(PictureFault::Corrupt);
        };
        if precision != 8 {
            return Err(PictureFault::Unsupported("JPEG of more than 8 bits"));
        }
        Ok(Self {
            width: u16::from_be_bytes([x1, x2]).into(),
            height: u16::from_be_bytes([y1, y2]).into(),
            orientation: Orientation::NoTransforms,
            scans: 0,
            components,
        })
    }

    /// Whether the picture is in CMYK, which libjpeg-turbo does not convert to RGB.
    pub(super) fn is_cmyk(&self) -> bool {
        self.components > 3
    }
}

/// Finds the next marker from `at` on. Skips fill bytes and, as decoders do, garbage.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), PictureFault> {
    let rest = bytes.get(at..).ok_or(PictureFault::Truncated)?;
    let mut from = 0;
    while let Some(found) = memchr::memchr(0xff, &rest[from..]) {
        from += found + 1;
        match rest.get(from) {
            Some(0x00 | 0xff) => {}
            Some(&marker) => return Ok((marker, at + from + 1)),
            None => break,
        }
    }
    Err(PictureFault::Truncated)
}

/// Counts the scans in the coded data, in which 0xff is escaped unless it starts a marker.
fn count_scans(data: &[u8]) -> Result<usize, PictureFault> {
    // Decoders fill a missing end with grey. Such a picture must be refused.
    if memmem::rfind(data, b"\xff\xd9").is_none() {
        return Err(PictureFault::Truncated);
    }
    // `data` begins after the marker of the first scan.
    let scans = 1 + memmem::find_iter(data, b"\xff\xda").take(MAX_SCANS).count();
    if scans > MAX_SCANS { Err(PictureFault::Corrupt) } else { Ok(scans) }
}

/// Decodes at `eighths`/8 of the size to RGB pixels, width and height. The reduction is exact: the point (x, y) of the
/// picture lies at (x, y) * eighths / 8 afterwards. The size is rounded up.
pub(super) fn decode(bytes: &[u8], eighths: u8) -> Result<(Vec<u8>, u32, u32), PictureFault> {
    let factor = ScalingFactor::new(eighths.into(), 8);
    let prepare = || {
        let mut decompressor = Decompressor::new()?;
        decompressor.set_scan_limit(MAX_SCANS as u32)?;
        let header = decompressor.read_header(bytes)?.scaled(factor);
        if factor != ScalingFactor::ONE {
            decompressor.set_scaling_factor(factor)?;
        }
        Ok((decompressor, header.width, header.height))
    };
    let (mut decompressor, width, height) = prepare().map_err(|error: turbojpeg::Error| fault(&error))?;
    let mut pixels = vec![0; width * height * 3];
    let output = Image { pixels: &mut pixels[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
    match decompressor.decompress(bytes, output) {
        Err(error) if !is_harmless(&error) => Err(fault(&error)),
        _ => Ok((pixels, width as u32, height as u32)),
    }
}

/// Whether the error is only a warning, after which the picture is complete (`jerror.h` of libjpeg).
fn is_harmless(error: &turbojpeg::Error) -> bool {
    let turbojpeg::Error::TurboJpegError(text) = error else { return false };
    [
        "extraneous bytes before marker",
        "unknown JFIF revision",
        "unknown Adobe color transform",
        "Invalid SOS parameters",
    ]
    .iter()
    .any(|warning| text.contains(warning))
}

fn fault(error: &turbojpeg::Error) -> PictureFault {
    if error.to_string().contains("remature end") { PictureFault::Truncated } else { PictureFault::Corrupt }
}
