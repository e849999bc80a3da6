//! Faults because of which a video is not decoded.

use std::io;
use std::time::Duration;

/// Reason why a video cannot be used. The sender is at fault in all cases.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VideoFault {
    /// The bytes are none of the containers that are decoded.
    #[error("this is not a video in WebM, Matroska, MP4 or QuickTime format")]
    UnsupportedFormat,
    /// The container holds pictures of a codec that is not decoded.
    #[error("the video's codec {0} is not supported; use VP8, VP9, H.264, HEVC, AV1 or MJPEG")]
    UnsupportedCodec(String),
    /// There is no track of moving pictures.
    #[error("the file has no video track")]
    NoVideo,
    /// The container or its pictures are damaged.
    #[error("the video is damaged or truncated")]
    Malformed,
    /// Larger frames than allowed.
    #[error("the video's frames have more than the {limit} pixels that are allowed")]
    TooManyPixels {
        /// Pixels of a frame that are allowed.
        limit: u64,
    },
    /// More frames than allowed.
    #[error("the video has more than the {limit} frames that are allowed")]
    TooManyFrames {
        /// Frames that are allowed.
        limit: u32,
    },
    /// A longer video than allowed.
    #[error("the video is longer than the {} s that are allowed", .limit.as_secs_f32())]
    TooLong {
        /// Length that is allowed.
        limit: Duration,
    },
    /// Decoding takes more time than allowed.
    #[error("decoding the video takes too much time")]
    TooSlow,
    /// Decoding takes more memory than allowed.
    #[error("decoding the video takes too much memory")]
    TooMuchMemory,
}

/// Reason why there are no frames.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The video is at fault. Repeating it gives the same answer.
    #[error(transparent)]
    Video(#[from] VideoFault),
    /// This worker cannot decode: ffmpeg is missing, the system cannot confine it, or resources are used up.
    #[error("videos cannot be decoded here: {0}")]
    Unavailable(String),
}

impl DecodeError {
    pub(super) fn unavailable(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Unavailable(format!("{what}: {error}"))
    }
}

/// Reason why the output of a child was not read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It shows that the video is at fault.
    Fault(VideoFault),
    /// It ended early, was not what ffmpeg writes, or came too late.
    Stream(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}
