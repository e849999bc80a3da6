//! The section `replay`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero};

/// Videos that are captured on a device and judged here.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ReplaySettings {
    /// A device must have begun its upload within this time of the replay's parameters, or the replay ends with TIMEOUT.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// The longest video, in bytes.
    pub media_bytes: u64,
    /// An upload that is slower than this ends, in bytes a second.
    pub min_upload_rate: u64,
    /// A worker must have judged a video within this time of its upload. Then the job is published once more; after the same time
    /// again the replay ends with ERROR.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// File of the keys and certificates for which devices encrypt uploads. If this is not set, it is `replay.toml` in `data_dir`,
    /// and the gateway makes it. All gateways of an installation share it.
    pub keys_file: Option<PathBuf>,
    /// The program that decodes videos, version 5.1 or later: a path, or a name in `PATH`. `ffprobe` must be in its folder.
    pub ffmpeg: PathBuf,
    /// `required`: videos are decoded by a process that can open no files and no connections, and a worker whose kernel cannot
    /// confine it so is not ready for replays. `off`: the process has limits of resources only.
    pub confinement: Confinement,
    /// The longest time for decoding one video.
    #[serde(with = "humantime_serde")]
    pub decode_time: Duration,
    /// The most CPU time for decoding one video, of all its threads together.
    #[serde(with = "humantime_serde")]
    pub decode_cpu_time: Duration,
    /// The largest address space of the process that decodes, in bytes.
    pub decode_memory: u64,
    /// The longest video, by its presentation times.
    #[serde(with = "humantime_serde")]
    pub video_length: Duration,
    /// The most frames of a video.
    pub video_frames: u32,
    /// The most pixels of a frame.
    pub frame_pixels: u64,
    /// The most memory of a worker for the frames of one video, in bytes. Of a longer or larger video it keeps fewer frames.
    pub kept_frame_bytes: usize,
}

/// Whether decoding must be confined by the kernel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum Confinement {
    /// Without it there is no decoding.
    Required,
    /// Only resources are limited.
    Off,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self {
            upload_timeout: Duration::from_mins(5),
            media_bytes: 100 << 20,
            min_upload_rate: 16 << 10,
            deadline: Duration::from_mins(2),
            keys_file: None,
            ffmpeg: "ffmpeg".into(),
            confinement: Confinement::Required,
            decode_time: Duration::from_secs(45),
            decode_cpu_time: Duration::from_mins(1),
            decode_memory: 2 << 30,
            video_length: Duration::from_mins(2),
            video_frames: 7_200,
            // 4096 × 2160.
            frame_pixels: 8_847_360,
            kept_frame_bytes: 256 << 20,
        }
    }
}

impl ReplaySettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        all_above_zero([
            ("replay.upload_timeout", self.upload_timeout.as_millis()),
            ("replay.media_bytes", self.media_bytes.into()),
            ("replay.min_upload_rate", self.min_upload_rate.into()),
            ("replay.deadline", self.deadline.as_millis()),
            ("replay.decode_time", self.decode_time.as_millis()),
            ("replay.decode_cpu_time", self.decode_cpu_time.as_millis()),
            ("replay.decode_memory", self.decode_memory.into()),
            ("replay.video_length", self.video_length.as_millis()),
            ("replay.video_frames", self.video_frames.into()),
            ("replay.frame_pixels", self.frame_pixels.into()),
            ("replay.kept_frame_bytes", self.kept_frame_bytes as u128),
        ])
    }
}
