//! Why a picture cannot be used.

use std::time::Duration;

/// Why bytes do not become a picture. All of these are the sender's to mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PictureFault {
    /// Nothing that looks like a picture.
    #[error("this is not a picture")]
    NotAPicture,
    /// A known kind of file that is not decoded.
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
        /// Received.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// More pixels than allowed.
    #[error("the picture has {pixels} pixels, more than the {limit} that are allowed")]
    TooManyPixels {
        /// Announced by the header.
        pixels: u64,
        /// Allowed.
        limit: u64,
    },
    /// Longer or wider than allowed.
    #[error("the picture has a side of {side} pixels, more than the {limit} that are allowed")]
    SideTooLong {
        /// Announced by the header.
        side: u32,
        /// Allowed.
        limit: u32,
    },
    /// Decoding takes more memory than a picture of the allowed size needs.
    #[error("the picture takes too much memory to decode")]
    TooMuchMemory,
    /// Decoding takes, or would take, too long.
    #[error("the picture takes longer than {} ms to decode", .0.as_millis())]
    TooSlow(Duration),
}
