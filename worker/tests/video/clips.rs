//! Videos that ffmpeg makes for a test, and a decoder that confines.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use faceline_shared::settings::ReplaySettings;
use faceline_worker::video::{Clip, DecodeError, Decoder, MemoryFile, SamplingPlan, VideoFault};

/// The worker's program.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_faceline-worker");

/// The bytes of a file that ffmpeg writes with these arguments. `ending` names the container.
pub(crate) fn ffmpeg(arguments: &str, ending: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("clip.{ending}"));
    run_ffmpeg(arguments, &path);
    std::fs::read(path).unwrap()
}

/// Runs ffmpeg with these arguments and this output.
pub(crate) fn run_ffmpeg(arguments: &str, output: &std::path::Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(arguments.split_whitespace()).arg(output);
    let made = command.stdin(Stdio::null()).output().expect("make test installs ffmpeg");
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

/// A moving pattern of this size, rate and length in seconds, as these arguments encode it.
pub(crate) fn pattern(size: &str, rate: u32, seconds: f32, encoding: &str, ending: &str) -> Vec<u8> {
    ffmpeg(&format!("-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds} {encoding}"), ending)
}

/// Settings with generous times, since machines that test are busy.
pub(crate) fn settings() -> ReplaySettings {
    ReplaySettings { decode_time: std::time::Duration::from_mins(2), ..ReplaySettings::default() }
}

/// A decoder whose children the worker's program confines.
pub(crate) fn decoder(settings: &ReplaySettings) -> Decoder {
    Decoder::new(settings).with_launcher(PathBuf::from(WORKER))
}

/// Decodes with ten frames a second.
pub(crate) fn decode(bytes: &[u8]) -> Result<Clip, DecodeError> {
    decoder(&settings()).decode(&MemoryFile::of(bytes).unwrap(), &SamplingPlan::default())
}

/// Reason why the video is refused.
pub(crate) fn fault(bytes: &[u8], settings: &ReplaySettings) -> VideoFault {
    match decoder(settings).decode(&MemoryFile::of(bytes).unwrap(), &SamplingPlan::default()) {
        Err(DecodeError::Video(fault)) => fault,
        Err(other) => panic!("{other}"),
        Ok(clip) => panic!("{} frames were decoded", clip.frame_count),
    }
}
