//! Decoding of clips that ffmpeg makes, without confinement; `worker/tests` has the confined ones.

use super::*;

#[test]
fn a_clip_comes_back() {
    let made = std::process::Command::new("ffmpeg")
        .args(
            "-v error -f lavfi -i testsrc2=s=1280x720:r=30:d=3 -c:v libvpx -deadline realtime -f webm pipe:1"
                .split(' '),
        )
        .output()
        .unwrap();
    let file = MemoryFile::of(&made.stdout).unwrap();
    let started = std::time::Instant::now();
    let clip = Decoder::unconfined(DecodeLimits::default()).decode(&file, &SamplingPlan::default()).unwrap();
    eprintln!(
        "{:?} {:?} {} {:?} {:?}",
        started.elapsed(),
        clip.size,
        clip.frame_count,
        clip.duration,
        clip.codec
    );
    assert_eq!((clip.frame_count, clip.frames.len()), (90, 30));
}
