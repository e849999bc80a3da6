//! A decoded video.

use std::time::Duration;

use super::colour::MatrixCoefficients;
use super::{Codec, Container};
use crate::picture::Picture;

/// The content of a video.
#[derive(Debug)]
pub struct Clip {
    /// Format of the file.
    pub container: Container,
    /// Codec of the frames.
    pub codec: Codec,
    /// Width and height in square pixels as a player shows the video: rotated, and stretched where its pixels are not square.
    pub size: (u32, u32),
    /// From the first frame to the end of the last one, which is assumed to last as long as the median frame.
    pub duration: Duration,
    /// Frames that were decoded, all of which have a thumbnail.
    pub frame_count: u32,
    /// The frames of the sampling plan, in the order in which they are shown.
    pub frames: Vec<ClipFrame>,
    /// One of each decoded frame, in the order in which they are shown.
    pub thumbnails: Vec<Thumbnail>,
}

/// One frame, scaled down and upright.
#[derive(Clone, Debug)]
pub struct ClipFrame {
    /// Place among all decoded frames, from 0; that of its thumbnail.
    pub number: u32,
    /// Time at which it is shown, counted from the start of the file. Whole milliseconds.
    pub time: Duration,
    /// Pixels of a row; even.
    pub width: u32,
    /// Number of rows; even.
    pub height: u32,
    /// Three planes of 8 bits in limited range: luma, then both chroma planes at half the width and height.
    pub(super) planes: Vec<u8>,
    /// Coefficients by which the planes were computed from red, green and blue.
    pub(super) matrix_coefficients: MatrixCoefficients,
}

impl ClipFrame {
    /// Red, green and blue of each pixel, row after row.
    #[must_use]
    pub fn rgb(&self) -> Vec<u8> {
        self.matrix_coefficients.rgb(&self.planes, self.width as usize, self.height as usize)
    }

    /// The luma of each pixel, row after row, from 16 (black) to 235 (white).
    #[must_use]
    pub fn luma(&self) -> &[u8] {
        &self.planes[..self.width as usize * self.height as usize]
    }

    /// The frame as the face pipeline takes it.
    pub(crate) fn picture(&self) -> Picture {
        Picture::from_rgb(self.rgb(), (self.width, self.height))
    }
}

/// A very small picture of a frame, for cuts, loops and frozen pictures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Thumbnail {
    /// Place among all decoded frames, from 0.
    pub number: u32,
    /// Time at which the frame is shown, counted from the start of the file. Whole milliseconds.
    pub time: Duration,
    /// Mean luma of 16 × 16 equal parts of the frame, row after row, from 0 (black) to 255 (white).
    pub luma: [u8; 256],
    /// Checksum (CRC-32) of the luma of 64 × 64 single pixels in equal distances. Noise changes it, so two frames of a camera differ,
    /// and a frame that is shown twice does not.
    pub checksum: u32,
}
