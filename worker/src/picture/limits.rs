//! What a picture may cost.

use std::time::Duration;

use super::PictureFault;

/// Bytes of memory that a decoder may take for each allowed pixel: 16 bits in four channels, once.
const BYTES_PER_PIXEL: u64 = 8;

/// What a picture may cost. Checked before memory is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// Time to decode.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 50 << 20, pixels: 50_000_000, time: Duration::from_secs(5) }
    }
}

impl Limits {
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
        Ok(())
    }

    /// Bytes that a decoder may allocate.
    pub(super) fn memory(&self) -> u64 {
        self.pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}
