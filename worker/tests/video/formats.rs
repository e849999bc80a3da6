//! Every container and codec that is decoded.

use std::process::Command;

use faceline_worker::video::{Codec, Container, DecodeError, Decoder};

use crate::clips::{decode, decoder, pattern, settings};

/// Arguments with which ffmpeg encodes each codec quickly.
const ENCODINGS: [(&str, Codec); 6] = [
    ("-c:v libvpx -deadline realtime -cpu-used 8", Codec::Vp8),
    ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8", Codec::Vp9),
    ("-c:v libx264 -preset ultrafast -bf 2", Codec::H264),
    ("-c:v libx265 -preset ultrafast -x265-params log-level=none", Codec::Hevc),
    ("-c:v libaom-av1 -cpu-used 8 -usage realtime", Codec::Av1),
    ("-c:v mjpeg -pix_fmt yuvj420p", Codec::Mjpeg),
];

const CONTAINERS: [(&str, Container, &[Codec]); 4] = [
    ("webm", Container::WebM, &[Codec::Vp8, Codec::Vp9, Codec::Av1]),
    (
        "mkv",
        Container::Matroska,
        &[Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Hevc, Codec::Av1, Codec::Mjpeg],
    ),
    ("mp4", Container::Mp4, &[Codec::Vp9, Codec::H264, Codec::Hevc, Codec::Av1, Codec::Mjpeg]),
    ("mov", Container::QuickTime, &[Codec::H264, Codec::Hevc, Codec::Mjpeg]),
];

/// Whether Debian's ffmpeg or another one is installed that has the encoder.
fn has_encoder(encoding: &str) -> bool {
    let name = encoding.split(' ').nth(1).unwrap();
    let help =
        Command::new("ffmpeg").args(["-v", "error", "-h", &format!("encoder={name}")]).output().unwrap();
    !String::from_utf8_lossy(&help.stdout).is_empty()
}

#[test]
fn every_codec_comes_out_of_every_container() {
    let mut tried = 0;
    for (encoding, codec) in ENCODINGS.into_iter().filter(|(encoding, _)| has_encoder(encoding)) {
        for (ending, container, codecs) in CONTAINERS {
            if !codecs.contains(&codec) {
                continue;
            }
            let bytes = pattern("320x240", 20, 0.5, encoding, ending);
            let clip = decode(&bytes).unwrap_or_else(|error| panic!("{codec} in {ending}: {error}"));
            assert_eq!((clip.codec, clip.container, clip.size), (codec, container, (320, 240)));
            assert_eq!((clip.frame_count, clip.frames.len()), (10, 5), "{codec} in {ending}");
            assert_eq!(clip.thumbnails.len(), 10);
            tried += 1;
        }
    }
    assert!(tried >= 14, "only {tried} pairs could be made");
}

#[test]
fn the_index_may_be_at_the_end_at_the_start_or_in_fragments() {
    let encoding = "-c:v libx264 -preset ultrafast";
    for flags in ["", "-movflags +faststart", "-movflags +frag_keyframe+empty_moov"] {
        let bytes = pattern("320x240", 20, 1.0, &format!("{encoding} {flags}"), "mp4");
        assert_eq!(decode(&bytes).unwrap().frame_count, 20, "{flags}");
    }
}

#[test]
fn sound_and_subtitles_are_left_alone() {
    let bytes = pattern(
        "320x240",
        20,
        1.0,
        "-f lavfi -i sine=d=1 -map 0:v -map 1:a -c:v libvpx -deadline realtime -c:a libvorbis",
        "webm",
    );
    assert_eq!(decode(&bytes).unwrap().frame_count, 20);
}

#[test]
fn a_cover_picture_is_no_video() {
    let folder = tempfile::tempdir().unwrap();
    let cover = folder.path().join("cover.jpg");
    crate::clips::run_ffmpeg("-f lavfi -i color=red:s=64x64 -frames:v 1", &cover);
    let attach = format!(
        "-c:v libx264 -preset ultrafast -attach {} -metadata:s:t mimetype=image/jpeg",
        cover.display()
    );
    let clip = decode(&pattern("320x240", 20, 1.0, &attach, "mkv")).unwrap();
    assert_eq!((clip.codec, clip.frame_count, clip.size), (Codec::H264, 20, (320, 240)));
}

#[test]
fn the_worker_can_decode_here_and_says_why_it_cannot_elsewhere() {
    decoder(&settings()).check().unwrap();
    let mut missing = settings();
    missing.ffmpeg = "/nowhere/ffmpeg".into();
    let error = decoder(&missing).check().unwrap_err();
    assert!(matches!(&error, DecodeError::Unavailable(text) if text.contains("/nowhere/ffmpeg")), "{error}");
    // A program that does not know `confine` is reported as well.
    let error = Decoder::new(&settings()).with_launcher("/bin/false".into()).check().unwrap_err();
    assert!(matches!(error, DecodeError::Unavailable(_)), "{error}");
    // A script in place of ffmpeg could not be confined.
    let folder = tempfile::tempdir().unwrap();
    for name in ["ffmpeg", "ffprobe"] {
        std::fs::write(folder.path().join(name), "#!/bin/sh\nexec ffmpeg \"$@\"\n").unwrap();
    }
    let mut script = settings();
    script.ffmpeg = folder.path().join("ffmpeg");
    let error = decoder(&script).check().unwrap_err();
    assert!(matches!(&error, DecodeError::Unavailable(text) if text.contains("ELF")), "{error}");
}

#[test]
fn children_are_reaped() {
    for bytes in [pattern("64x64", 10, 0.5, "-c:v libvpx", "webm"), b"#EXTM3U".to_vec()] {
        for _ in 0..5 {
            let _ = decode(&bytes);
        }
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Other tests have children as well, each for a moment only.
    while zombies() > 0 {
        assert!(std::time::Instant::now() < deadline, "there are zombies");
        std::thread::yield_now();
    }
}

/// Children of this process that ended and were not waited for.
fn zombies() -> usize {
    let parent = format!("PPid:\t{}\n", std::process::id());
    let processes = std::fs::read_dir("/proc").unwrap();
    let statuses =
        processes.filter_map(|process| std::fs::read_to_string(process.ok()?.path().join("status")).ok());
    statuses.filter(|status| status.contains(&parent) && status.contains("State:\tZ")).count()
}
