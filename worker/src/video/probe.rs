//! ffprobe's report about a file: the track with the video, and its display.

use serde::Deserialize;

use super::colour::MatrixCoefficients;
use super::{Codec, DecodeLimits, SamplingPlan, VideoFault};

/// The track that is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Track {
    pub(super) codec: Codec,
    /// Width and height as shown, in square pixels.
    pub(super) size: (u32, u32),
    pub(super) matrix_coefficients: MatrixCoefficients,
}

impl Track {
    /// Width and height of sampled frames: both even, at least 2.
    pub(super) fn sampled_size(&self, plan: &SamplingPlan) -> (u32, u32) {
        let (width, height) = self.size;
        let scale = (f64::from(plan.long_side.max(2)) / f64::from(width.max(height))).min(1.0);
        let even = |side: u32| ((f64::from(side) * scale / 2.0).round() as u32 * 2).max(2);
        (even(width), even(height))
    }
}

/// The output of `ffprobe -of json -show_streams -show_frames -show_format` for one track, as far as it is used.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    frames: Vec<DisplayProperties>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: Option<String>,
    codec_tag_string: Option<String>,
    #[serde(flatten)]
    display: DisplayProperties,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// The display properties that ffprobe reports for a track and for each frame. Those of the first frame take precedence.
#[derive(Deserialize)]
struct DisplayProperties {
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_space: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

/// The track of a report.
pub(super) fn track(report: &[u8], limits: &DecodeLimits) -> Result<Track, VideoFault> {
    let report: Report = serde_json::from_slice(report).map_err(|_| VideoFault::Malformed)?;
    let stream = report.streams.first().ok_or(VideoFault::NoVideo)?;
    let codec = stream.codec()?;
    let display = report.frames.first().unwrap_or(&stream.display);
    let (Some(width @ 1..), Some(height @ 1..)) = (display.width, display.height) else {
        return Err(VideoFault::Malformed);
    };
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(VideoFault::TooManyPixels { limit: limits.pixels });
    }
    let seconds = report.format.duration.as_deref().and_then(|duration| duration.parse::<f64>().ok());
    if seconds.is_some_and(|seconds| seconds > limits.length.as_secs_f64()) {
        return Err(VideoFault::TooLong { limit: limits.length });
    }
    let ratio = display.sample_aspect_ratio.as_deref().and_then(ratio).unwrap_or((1, 1));
    let size = stream.shown_size(width, height, ratio);
    Ok(Track { codec, size, matrix_coefficients: display.matrix_coefficients(codec, height) })
}

impl Stream {
    fn codec(&self) -> Result<Codec, VideoFault> {
        let name = self.codec_name.as_deref().unwrap_or("unknown");
        Codec::named(name).ok_or_else(|| {
            // The tag is the sender's and may be anything.
            let tag = self.codec_tag_string.as_deref().filter(|_| name == "unknown" || name == "none");
            let name = tag.unwrap_or(name).chars().filter(char::is_ascii_graphic).take(20).collect();
            VideoFault::UnsupportedCodec(name)
        })
    }

    fn shown_size(&self, width: u32, height: u32, (across, down): (u32, u32)) -> (u32, u32) {
        let shown = (f64::from(width) * f64::from(across) / f64::from(down)).round();
        // No player shows a video that is stretched beyond this.
        let width = if shown >= 1.0 && shown <= 16.0 * f64::from(width) { shown as u32 } else { width };
        let turned = self.side_data_list.iter().find_map(|data| data.rotation).unwrap_or_default();
        let is_sideways = (turned.rem_euclid(180.0) - 90.0).abs() < 1.0;
        if is_sideways { (height, width) } else { (width, height) }
    }
}

impl DisplayProperties {
    fn matrix_coefficients(&self, codec: Codec, height: u32) -> MatrixCoefficients {
        let is_rgb = self
            .pix_fmt
            .as_deref()
            .is_some_and(|format| ["gbr", "rgb", "bgr"].iter().any(|rgb| format.starts_with(rgb)));
        let is_always_601 = is_rgb || matches!(codec, Codec::Vp8 | Codec::Mjpeg);
        MatrixCoefficients::named(self.color_space.as_deref(), is_always_601, height)
    }
}

/// A ratio above zero, written as `16:11`.
fn ratio(text: &str) -> Option<(u32, u32)> {
    let (across, down) = text.split_once(':')?;
    let ratio = (across.parse().ok()?, down.parse().ok()?);
    (ratio.0 > 0 && ratio.1 > 0).then_some(ratio)
}
