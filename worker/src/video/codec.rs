//! The codecs that are decoded.

use std::fmt;

/// How the pictures of a video are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Codec {
    /// VP8 (RFC 6386).
    Vp8,
    /// VP9.
    Vp9,
    /// H.264, AVC (ITU-T H.264).
    H264,
    /// HEVC (ITU-T H.265).
    Hevc,
    /// AV1.
    Av1,
    /// One JPEG picture a frame.
    Mjpeg,
}

impl Codec {
    /// ffmpeg's names of the decoders, of versions 5.1 to 8, with those of the libraries that it may use instead of its own.
    pub(super) const DECODERS: &str = "vp8,libvpx,vp9,libvpx-vp9,h264,hevc,av1,libdav1d,libaom-av1,mjpeg";

    /// Of ffmpeg's name of the codec.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "vp8" => Self::Vp8,
            "vp9" => Self::Vp9,
            "h264" => Self::H264,
            "hevc" => Self::Hevc,
            "av1" => Self::Av1,
            "mjpeg" => Self::Mjpeg,
            _ => return None,
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Mjpeg => "MJPEG",
        })
    }
}
