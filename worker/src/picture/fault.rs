//! Faults of pictures.

use std::time::Duration;

/// Reason why bytes cannot be decoded to a picture. The sender is at fault in all cases.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PictureFault {
    /// The bytes are in no picture format.
    #[error("this is not a picture")]
    NotAPicture,
    /// A known kind of file that is not supported.
    #[error("{0} is not supported; send JPEG, PNG, WebP, BMP, GIF, TIFF, TGA or PNM")]
    Unsupported(&'static str),
    /// The file ends too early.
    #[error("the picture is truncated")]
    Truncated,
    /// The file contradicts itself.
    #[error("the picture is corrupt")]
    Corrupt,
    /// More bytes than allowed.
    #[error("the picture has {bytes} bytes, more than the {limit} that are allowed")]
    TooManyBytes {
        /// Bytes that were received.
        bytes: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// More pixels than allowed.
    #[error("the picture has {pixels} pixels, more than the {limit} that are allowed")]
    TooManyPixels {
        /// Pixels that the header announces.
        pixels: u64,
        /// Pixels that are allowed.
        limit: u64,
    },
    /// A longer side than allowed.
    #[error("the picture has a side of {side} pixels, more than the {limit} that are allowed")]
    SideTooLong {
        /// Side that the header announces.
        side: u32,
        /// Pixels that are allowed.
        limit: u32,
    },
    /// Decoding would take more memory than a picture of the allowed size needs.
    #[error("the picture takes too much memory to decode")]
    TooMuchMemory,
    /// Decoding takes, or would take, too long.
    #[error("the picture takes longer than {} ms to decode", .0.as_millis())]
    TooSlow(Duration),
}
