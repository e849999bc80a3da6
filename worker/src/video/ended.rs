//! Conclusions about a video from the end of a child.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::libc::{SIGKILL, SIGSYS, SIGXCPU};

use super::confine::{EXIT_NOT_CONFINED, NOT_CONFINED_PREFIX};
use super::{DecodeError, DecodeLimits, VideoFault};

/// Messages of ffmpeg and its libraries when no memory is left; the last one is for stacks of threads.
const OUT_OF_MEMORY: [&str; 3] = ["allocate", "get_buffer() failed", "Resource temporarily unavailable"];

/// A child that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Time since its start.
    pub(super) time: Duration,
    /// The beginning of what it wrote to standard error.
    pub(super) stderr_text: String,
}

impl Ended {
    /// Whether the child did all of its work. ffmpeg also reports success if there was no memory for single frames.
    pub(super) fn is_complete(&self) -> bool {
        self.status.success() && !self.ran_out_of_memory()
    }

    fn ran_out_of_memory(&self) -> bool {
        OUT_OF_MEMORY.iter().any(|text| self.stderr_text.contains(text))
    }

    /// Explains the failure of a child that this process did not stop.
    pub(super) fn explain(&self, limits: &DecodeLimits) -> DecodeError {
        let stderr_text = self.stderr_text.trim_end();
        if self.status.code() == Some(EXIT_NOT_CONFINED.into())
            && let Some(reason) = stderr_text.strip_prefix(NOT_CONFINED_PREFIX)
        {
            return DecodeError::Unavailable(reason.to_owned());
        }
        tracing::debug!(status = %self.status, stderr = stderr_text, "a video is not decoded");
        match self.status.signal() {
            Some(SIGSYS) => {
                tracing::warn!("the decoder of a video made a forbidden system call and was ended");
                return VideoFault::Malformed.into();
            }
            Some(SIGXCPU) => return VideoFault::TooSlow.into(),
            // The kernel sends it at the limit of CPU time. Threads can use that up only so fast; earlier, memory ran out.
            Some(SIGKILL) if self.time * 8 >= limits.cpu_time => return VideoFault::TooSlow.into(),
            Some(SIGKILL) => return VideoFault::TooMuchMemory.into(),
            _ => (),
        }
        if let Some(name) = refused_decoder(stderr_text) {
            return VideoFault::UnsupportedCodec(name).into();
        }
        if stderr_text.contains("Picture size") {
            return VideoFault::TooManyPixels { limit: limits.pixels }.into();
        }
        if self.ran_out_of_memory() {
            return VideoFault::TooMuchMemory.into();
        }
        if stderr_text.contains("error while loading shared libraries") {
            return DecodeError::Unavailable(stderr_text.chars().take(200).collect());
        }
        VideoFault::Malformed.into()
    }
}

/// The decoder that a program did not start because it is not listed.
fn refused_decoder(stderr_text: &str) -> Option<String> {
    let (before, _) = stderr_text.split_once(") not on whitelist")?;
    let (_, name) = before.rsplit_once("Codec (")?;
    Some(name.chars().filter(char::is_ascii_graphic).take(20).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(wait_status: i32, seconds: u64, stderr_text: &str) -> String {
        let ended = Ended {
            status: ExitStatus::from_raw(wait_status),
            time: Duration::from_secs(seconds),
            stderr_text: stderr_text.to_owned(),
        };
        format!("{:?}", ended.explain(&DecodeLimits::default()))
    }

    #[test]
    fn each_end_has_its_reason() {
        assert_eq!(explained(125 << 8, 0, "not confined: landlock: no\n"), r#"Unavailable("landlock: no")"#);
        assert_eq!(explained(125 << 8, 0, "error"), "Video(Malformed)");
        assert_eq!(explained(SIGSYS, 0, ""), "Video(Malformed)");
        assert_eq!(explained(SIGKILL, 30, ""), "Video(TooSlow)");
        assert_eq!(explained(SIGKILL, 1, ""), "Video(TooMuchMemory)");
        assert_eq!(explained(1 << 8, 1, "x: Cannot allocate memory"), "Video(TooMuchMemory)");
        assert_eq!(
            explained(1 << 8, 1, "[gif @ 0x5] Codec (gif) not on whitelist 'vp8'"),
            r#"Video(UnsupportedCodec("gif"))"#
        );
        assert_eq!(
            explained(1 << 8, 1, "[h264] Picture size 16384x16384 exceeds specified max pixel count 9"),
            "Video(TooManyPixels { limit: 8847360 })"
        );
        assert!(
            explained(127 << 8, 0, "ffmpeg: error while loading shared libraries: x")
                .starts_with("Unavailable")
        );
    }
}
