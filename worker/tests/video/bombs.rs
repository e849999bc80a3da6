//! Videos that are small to send and large to decode.

use std::time::{Duration, Instant};

use faceline_worker::video::{MemoryFile, SamplingPlan, VideoFault};

use crate::clips::{decoder, fault, ffmpeg, pattern, run_ffmpeg, settings};

/// The header says 64 × 64, and the first frame 16383 × 16383.
#[test]
fn a_frame_that_is_larger_than_its_header_says() {
    let mut bytes = pattern("64x64", 10, 1.0, "-c:v libvpx -g 1 -deadline realtime", "webm");
    let mut patched = 0;
    for at in 0..bytes.len() - 7 {
        // The start code of a key frame of VP8, and its size (RFC 6386, 9.1).
        if bytes[at..].starts_with(&[0x9D, 0x01, 0x2A, 64, 0, 64, 0]) {
            bytes[at + 3..at + 7].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
            patched += 1;
        }
    }
    assert_eq!(patched, 10);
    assert_eq!(fault(&bytes, &settings()), VideoFault::TooManyPixels { limit: settings().frame_pixels });
}

#[test]
fn twenty_thousand_tiny_frames() {
    let bytes = pattern("16x16", 1000, 20.0, "-c:v libx264 -preset ultrafast", "mp4");
    let started = Instant::now();
    assert_eq!(fault(&bytes, &settings()), VideoFault::TooManyFrames { limit: 7200 });
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn hours_between_frames() {
    let slow = "-f lavfi -i testsrc2=s=64x64:r=1:d=9 -vf setpts=N*3600/TB -fps_mode passthrough -c:v libvpx -f webm -live 1";
    assert!(matches!(fault(&ffmpeg(slow, "webm"), &settings()), VideoFault::TooLong { .. }));
}

/// A large clip that repeats: cheap to make, dear to decode.
fn dear() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part.mp4");
    run_ffmpeg("-f lavfi -i testsrc2=s=3840x2160:r=30:d=0.4 -c:v libx264 -preset ultrafast", &part);
    ffmpeg(&format!("-stream_loop 40 -i {} -c copy", part.display()), "mp4")
}

#[test]
fn time_ends_a_decoder() {
    let video = dear();
    let mut hasty = settings();
    hasty.decode_time = Duration::from_millis(700);
    let started = Instant::now();
    assert_eq!(fault(&video, &hasty), VideoFault::TooSlow);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());

    let mut busy = settings();
    busy.decode_cpu_time = Duration::from_secs(1);
    assert_eq!(fault(&video, &busy), VideoFault::TooSlow);
}

#[test]
fn memory_ends_a_decoder() {
    let mut poor = settings();
    // Enough for the programs and small videos, not for seventeen frames of 13 MB.
    poor.decode_memory = 500 << 20;
    let small = pattern("320x240", 10, 0.5, "-c:v libx264", "mp4");
    decoder(&poor).decode(&MemoryFile::of(&small).unwrap(), &SamplingPlan::default()).unwrap();
    let large = pattern("4096x2160", 10, 2.0, "-c:v libx264 -preset ultrafast -refs 16", "mp4");
    assert_eq!(fault(&large, &poor), VideoFault::TooMuchMemory);
    decoder(&settings()).decode(&MemoryFile::of(&large).unwrap(), &SamplingPlan::default()).unwrap();
}
