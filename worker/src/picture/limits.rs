//! What a picture may cost.

use std::time::Duration;

use super::PictureFault;

/// Bytes of memory that a decoder may take for each allowed pixel: 16 bits in four channels, once.
const BYTES_PER_PIXEL: u64 = 8;

/// The longest side that a JPEG can have. Other formats know no bound, and a picture of one line, all of its pixels
/// in it, costs everybody who resamples it many times its size.
const MAX_SIDE: u32 = 65_535;

/// A progressive picture whose scans have more than this many times the allowed pixels takes too long. Encoders write
/// about ten scans, so that pictures of the allowed size pass.
const MAX_PASSES: u64 = 16;

/// What a picture may cost. Checked before memory is taken.
#[derive(Clone, Copy, Debug)]
pub struct PictureLimits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// Time to decode.
    pub time: Duration,
}

impl Default for PictureLimits {
    fn default() -> Self {
        Self { bytes: 50 << 20, pixels: 50_000_000, time: Duration::from_secs(5) }
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
        if side > MAX_SIDE {
            return Err(PictureFault::SideTooLong { side, limit: MAX_SIDE });
        }
        Ok(())
    }

    /// Scans cost time for each pixel, however few bytes they have.
    pub(super) fn check_scans(&self, width: u32, height: u32, scans: usize) -> Result<(), PictureFault> {
        let passed = u64::from(width) * u64::from(height) * scans as u64;
        if passed > self.pixels.saturating_mul(MAX_PASSES) {
            return Err(PictureFault::TooSlow(self.time));
        }
        Ok(())
    }

    /// Bytes that a decoder may allocate.
    pub(super) fn memory(&self) -> u64 {
        self.pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}
