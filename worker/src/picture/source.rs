//! A picture as received.

use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use image::ImageFormat;
use image::metadata::Orientation;

use super::jpeg::{self, JpegHeader};
use super::{Limits, Picture, PictureFault, format, raster};

/// A file whose header was read and is within the limits.
pub(crate) struct Source<'b> {
    bytes: &'b [u8],
    limits: Limits,
    deadline: Instant,
    kind: Kind<'b>,
    width: u32,
    height: u32,
    orientation: Orientation,
}

enum Kind<'b> {
    Jpeg(JpegHeader),
    Raster(Option<raster::Decoder<'b>>),
}

impl<'b> Source<'b> {
    /// Reads the header.
    pub(crate) fn open(bytes: &'b [u8], limits: &Limits) -> Result<Self, PictureFault> {
        limits.check_bytes(bytes.len())?;
        let deadline = Instant::now() + limits.time;
        let format = format::detect(bytes)?;
        guarded(|| {
            if format == ImageFormat::Jpeg {
                let header = JpegHeader::read(bytes)?;
                limits.check_pixels(header.width, header.height)?;
                return Ok(Self {
                    bytes,
                    limits: *limits,
                    deadline,
                    width: header.width,
                    height: header.height,
                    orientation: header.orientation,
                    kind: Kind::Jpeg(header),
                });
            }
            let mut decoder = raster::open(bytes, format, limits, deadline)?;
            let (width, height) = decoder.dimensions();
            let orientation = raster::orientation(&mut decoder, format);
            let kind = Kind::Raster(Some(decoder));
            Ok(Self { bytes, limits: *limits, deadline, kind, width, height, orientation })
        })
    }

    /// Decodes so that the longer side has at least `side` pixels, or all that there are. Formats other than JPEG
    /// know one scale only, and their pixels are handed out once.
    pub(crate) fn decode(&mut self, side: u32) -> Result<Picture, PictureFault> {
        let received = (self.width, self.height);
        let longer = self.width.max(self.height);
        let eighths = (u64::from(side) * 8).div_ceil(u64::from(longer)).clamp(1, 8) as u8;
        let decoded = guarded(|| match &mut self.kind {
            Kind::Jpeg(header) if !header.is_cmyk() => {
                let (pixels, width, height) = jpeg::decode(self.bytes, eighths)?;
                Ok((pixels, (width, height), f32::from(eighths) / 8.0))
            }
            Kind::Jpeg(_) => {
                let decoder = raster::open(self.bytes, ImageFormat::Jpeg, &self.limits, self.deadline)?;
                Ok((raster::decode(decoder, &self.limits)?, received, 1.0))
            }
            Kind::Raster(decoder) => {
                let decoder = decoder.take().ok_or(PictureFault::Corrupt)?;
                Ok((raster::decode(decoder, &self.limits)?, received, 1.0))
            }
        });
        let (pixels, size, scale) = decoded?;
        if Instant::now() > self.deadline {
            return Err(PictureFault::TooSlow(self.limits.time));
        }
        Ok(Picture::new(pixels, size, received, scale, self.orientation))
    }
}

/// A decoder that panics has met a picture that its author did not think of.
fn guarded<T>(decode: impl FnOnce() -> Result<T, PictureFault>) -> Result<T, PictureFault> {
    panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(PictureFault::Corrupt))
}
