//! The codecs that are decoded.

use std::fmt;

/// Codec of the pictures of a video.
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
    /// All of them.
    pub(super) const ALL: [Self; 6] = [Self::Vp8, Self::Vp9, Self::H264, Self::Hevc, Self::Av1, Self::Mjpeg];

    /// ffmpeg's names of its decoders, in versions 5.1 to 8: its own, and those of libraries.
    pub(super) fn decoders(self) -> &'static [&'static str] {
        match self {
            Self::Vp8 => &["vp8", "libvpx"],
            Self::Vp9 => &["vp9", "libvpx-vp9"],
            Self::H264 => &["h264", "libopenh264"],
            Self::Hevc => &["hevc"],
            Self::Av1 => &["libdav1d", "libaom-av1"],
            Self::Mjpeg => &["mjpeg"],
        }
    }

    /// The names of all decoders, with commas.
    pub(super) fn all_decoders() -> String {
        Self::ALL.map(|codec| codec.decoders().join(",")).join(",")
    }

    /// The codec that ffmpeg calls by this name.
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
