//! Limits of a picture's size and of the resources for decoding it.

use std::time::Duration;

use super::PictureFault;

/// Bytes of memory that a decoder may allocate per allowed pixel: 16 bits in each of four channels.
const BYTES_PER_PIXEL: u64 = 8;

/// The longest side in pixels, which is that of a JPEG. Other formats have no bound, and resampling a picture that
/// consists of one very long line would cost many times its size.
const MAX_SIDE_PIXELS: u32 = 65_535;

/// A progressive picture takes too long if its scans together have more than this many times the allowed pixels.
/// Encoders write about ten scans, so pictures of the allowed size pass.
const MAX_SCANNED_RATIO: u64 = 16;

/// Limits of a picture, checked before memory is allocated.
#[derive(Clone, Copy, Debug)]
pub struct PictureLimits {
    /// Maximum number of bytes of the file.
    pub bytes: usize,
    /// Maximum number of pixels: width times height.
    pub pixels: u64,
    /// Maximum time for decoding.
    pub time: Duration,
}

/// The defaults are for tools and tests, which may share the machine with others, so the time is long. Workers take
/// their limits from the settings.
impl Default for PictureLimits {
    fn default() -> Self {
        Self { bytes: 50 << 20, pixels: 51_000_000, time: Duration::from_secs(60) }
    }
}

impl PictureLimits {
    pub(super) fn check_bytes(&self, bytes: usize) -> Result<(), PictureFault> {
        if bytes > self.bytes {
            return Err(PictureFault::TooManyBytes { bytes, limit: self.bytes });
        }
        Ok(())
    }

    pub(super) fn check_pixels(&self, width: u32, height: u32) -> Result<(), PictureFault> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels {
            return Err(PictureFault::TooManyPixels { pixels, limit: self.pixels });
        }
        if pixels == 0 {
            return Err(PictureFault::Corrupt);
        }
        let side = width.max(height);
        if side > MAX_SIDE_PIXELS {
            return Err(PictureFault::SideTooLong { side, limit: MAX_SIDE_PIXELS });
        }
        Ok(())
    }

    /// Checks the scans of a progressive picture. Each scan costs time for every pixel, however few bytes it has.
    pub(super) fn check_scans(&self, width: u32, height: u32, scans: usize) -> Result<(), PictureFault> {
        let scanned = u64::from(width) * u64::from(height) * scans as u64;
        if scanned > self.pixels.saturating_mul(MAX_SCANNED_RATIO) {
            return Err(PictureFault::TooSlow(self.time));
        }
        Ok(())
    }

    /// Maximum number of bytes that a decoder may allocate.
    pub(super) fn memory(&self) -> u64 {
        self.pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}
