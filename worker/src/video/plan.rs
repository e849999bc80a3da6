//! Selection of frames, and limits of decoding.

use std::time::Duration;

use faceline_shared::settings::ReplaySettings;

/// Selection of the frames that are returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingPlan {
    /// Maximum number of frames a second. Each interval of `1 / rate` s, counted from the first frame, gives the frame
    /// with the first presentation time in it. A video with fewer frames a second gives all of them.
    pub rate: f32,
    /// Frames are scaled down until their longer side has at most this many pixels.
    pub long_side: u32,
    /// Maximum number of frames. Of a longer video every second, fourth, eighth … frame of the rate is kept, so at
    /// least half of this number is returned, at equal distance.
    pub max_frames: usize,
}

impl Default for SamplingPlan {
    fn default() -> Self {
        Self { rate: 10.0, long_side: 960, max_frames: 200 }
    }
}

/// Limits of the resources for decoding one video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodeLimits {
    /// Time on the clock, for all child processes of one video together.
    pub time: Duration,
    /// CPU time of a child process; whole seconds, rounded up.
    pub cpu_time: Duration,
    /// Address space of a child process, in bytes.
    pub memory: u64,
    /// Frames that are decoded.
    pub frames: u32,
    /// Pixels of a frame.
    pub pixels: u64,
    /// Presentation time of the last frame, and the length that the header announces.
    pub length: Duration,
    /// Bytes of the frames that are kept, in this process. With larger frames fewer are kept.
    pub kept_bytes: usize,
}

impl From<&ReplaySettings> for DecodeLimits {
    fn from(settings: &ReplaySettings) -> Self {
        Self {
            time: settings.decode_time,
            cpu_time: settings.decode_cpu_time,
            memory: settings.decode_memory,
            frames: settings.video_frames,
            pixels: settings.frame_pixels,
            length: settings.video_length,
            kept_bytes: settings.kept_frame_bytes,
        }
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self::from(&ReplaySettings::default())
    }
}
