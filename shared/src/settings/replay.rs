//! The section `replay`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero};

/// Replays: videos that are captured on a device and judged by the service.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ReplaySettings {
    /// Time within which a device must begin its upload after it got the replay's parameters; otherwise the replay
    /// ends with TIMEOUT.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// Maximum size of a video, in bytes.
    pub media_bytes: u64,
    /// Minimum rate of an upload, in bytes per second. The gateway ends slower uploads.
    pub min_upload_rate: u64,
    /// Maximum number of uploads that a gateway receives at the same time. One client may use the part
    /// `limits.client_share` of them while others are present.
    pub uploads: usize,
    /// Time within which a worker must judge a video after its upload. After that, the job is published once more;
    /// after the same time again, the replay ends with ERROR.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// File with the keys and certificates with which devices encrypt uploads, shared by all gateways of an
    /// installation. If this is not set, it is `replay.toml` in `data_dir`, created by the gateway.
    pub keys_file: Option<PathBuf>,
    /// Program that decodes videos (ffmpeg, version 5.1 or later): a path, or a name in `PATH`. `ffprobe` must be in
    /// the same folder.
    pub ffmpeg: PathBuf,
    /// `required`: the process that decodes videos can open no files and no connections; a worker whose kernel cannot
    /// enforce this is not ready for replays. `off`: only the resources of the process are limited.
    pub confinement: Confinement,
    /// Maximum time for decoding one video.
    #[serde(with = "humantime_serde")]
    pub decode_time: Duration,
    /// Maximum CPU time for decoding one video, summed over all threads.
    #[serde(with = "humantime_serde")]
    pub decode_cpu_time: Duration,
    /// Maximum address space of the process that decodes, in bytes.
    pub decode_memory: u64,
    /// Maximum length of a video, by its presentation times.
    #[serde(with = "humantime_serde")]
    pub video_length: Duration,
    /// Maximum number of frames of a video.
    pub video_frames: u32,
    /// Maximum number of pixels of a frame.
    pub frame_pixels: u64,
    /// Maximum memory that a worker uses for the frames of one video, in bytes. The worker keeps fewer frames of a
    /// longer or larger video.
    pub kept_frame_bytes: usize,
}

/// Confinement of the decoding process by the kernel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum Confinement {
    /// Videos are decoded only by a confined process.
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
            uploads: 32,
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
            ("replay.uploads", self.uploads as u128),
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
