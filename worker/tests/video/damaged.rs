//! Truncated and altered videos: any answer but a hang, a crash or a leak.

use std::time::{Duration, Instant};

use faceline_worker::video::{DecodeError, MemoryFile, SamplingPlan, VideoFault};

use crate::clips::{decode, decoder, fault, pattern, settings};

#[test]
fn truncated_videos() {
    let mp4 = pattern("160x120", 10, 2.0, "-c:v libx264 -preset ultrafast", "mp4");
    for tenth in 1..10 {
        // The index is at the end.
        assert_eq!(fault(&mp4[..mp4.len() * tenth / 10], &settings()), VideoFault::Malformed, "{tenth}");
    }
    let webm = pattern("160x120", 10, 2.0, "-c:v libvpx -deadline realtime -g 5", "webm");
    let half = decode(&webm[..webm.len() / 2]).unwrap();
    assert!((1..20).contains(&half.frame_count), "a recording that broke off is decoded as far as it goes");
    assert_eq!(fault(&webm[..60], &settings()), VideoFault::Malformed);
}

#[test]
fn a_video_without_frames() {
    let empty = pattern("160x120", 10, 1.0, "-c:v libx264 -frames:v 0 -movflags +empty_moov", "mp4");
    assert!(matches!(fault(&empty, &settings()), VideoFault::Malformed | VideoFault::NoVideo));
}

/// Bytes are changed at places that a fixed sequence gives (SplitMix64), so a failure can be repeated.
#[test]
fn altered_videos_end_in_time() {
    let originals = [
        pattern("64x64", 10, 1.0, "-c:v libvpx -deadline realtime", "webm"),
        pattern("64x64", 10, 1.0, "-c:v libx264 -preset ultrafast", "mp4"),
        pattern("64x64", 10, 1.0, "-c:v libx265 -preset ultrafast -x265-params log-level=none", "mov"),
        pattern("64x64", 10, 1.0, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "mkv"),
    ];
    let mut state = 14_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    };
    let mut settings = settings();
    settings.decode_time = Duration::from_secs(20);
    let decoder = decoder(&settings);
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..200 {
        let mut bytes = originals[round % originals.len()].clone();
        // Half of them are hurt in their headers.
        let range = if round % 8 < 4 { bytes.len() } else { bytes.len().min(600) };
        for _ in 0..=random(8) {
            let at = random(range);
            bytes[at] = random(256) as u8;
        }
        let started = Instant::now();
        match decoder.decode(&MemoryFile::of(&bytes).unwrap(), &SamplingPlan::default()) {
            Ok(clip) => {
                assert!(clip.frame_count > 0 && clip.frames.len() <= clip.thumbnails.len());
                decoded += 1;
            }
            Err(DecodeError::Video(_)) => refused += 1,
            Err(error @ DecodeError::Unavailable(_)) => panic!("round {round}: {error}"),
        }
        assert!(started.elapsed() < settings.decode_time + Duration::from_secs(5), "round {round}");
    }
    assert!(decoded > 20 && refused > 20, "{decoded} decoded, {refused} refused");
}
