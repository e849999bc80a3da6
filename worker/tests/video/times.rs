//! Presentation times, sampling, and the shape of frames.

use std::time::Duration;

use faceline_worker::video::{Clip, MemoryFile, SamplingPlan};

use crate::clips::{decode, decoder, ffmpeg, pattern, settings};

fn milliseconds(clip: &Clip) -> Vec<u128> {
    clip.thumbnails.iter().map(|thumbnail| thumbnail.time.as_millis()).collect()
}

#[test]
fn a_live_webm_without_duration_has_its_times() {
    let bytes = pattern("320x240", 25, 2.0, "-c:v libvpx -deadline realtime -f webm -live 1", "webm");
    let clip = decode(&bytes).unwrap();
    assert_eq!((clip.frame_count, clip.duration), (50, Duration::from_secs(2)));
    assert_eq!(milliseconds(&clip), (0..50).map(|number| number * 40).collect::<Vec<_>>());
    assert_eq!(clip.frames.len(), 20, "ten frames a second");
}

#[test]
fn frames_of_a_variable_rate_keep_their_times() {
    let times = "settb=1/90000,setpts='if(lt(N,10),N/30,if(lt(N,20),1+(N-10)/10,3+(N-20)/60))/TB'";
    for (encoding, ending) in
        [("-c:v libvpx -deadline realtime", "webm"), ("-c:v libx264 -preset ultrafast", "mp4")]
    {
        let bytes = pattern(
            "320x240",
            30,
            1.0,
            &format!(
                "-vf {times} -fps_mode passthrough -enc_time_base 1:1000 -video_track_timescale 90000 {encoding}"
            ),
            ending,
        );
        let clip = decode(&bytes).unwrap();
        let wanted = (0..30).map(|n| match n {
            0..10 => f64::from(n) / 30.0,
            10..20 => 1.0 + f64::from(n - 10) / 10.0,
            _ => 3.0 + f64::from(n - 20) / 60.0,
        });
        let times = milliseconds(&clip);
        let error = times.iter().zip(wanted).map(|(time, wanted)| (*time as f64 - wanted * 1000.0).abs());
        assert!(error.fold(0.0, f64::max) <= 1.1, "{ending}: {times:?}");
        assert_eq!(clip.frame_count, 30);
    }
}

#[test]
fn sampled_frames_are_at_equal_distance_and_know_their_number() {
    let bytes = pattern("320x240", 60, 2.0, "-c:v libx264 -preset ultrafast", "mp4");
    let clip = decode(&bytes).unwrap();
    assert_eq!((clip.frame_count, clip.frames.len()), (120, 20));
    for (index, frame) in clip.frames.iter().enumerate() {
        assert_eq!((frame.number, frame.time), (6 * index as u32, Duration::from_millis(100 * index as u64)));
    }
    let file = MemoryFile::of(&bytes).unwrap();
    let plan = SamplingPlan { rate: 10.0, long_side: 160, max_frames: 7 };
    let few = decoder(&settings()).decode(&file, &plan).unwrap();
    let numbers: Vec<u32> = few.frames.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, [0, 24, 48, 72, 96]);
    assert_eq!((few.frames[0].width, few.frames[0].height, few.size), (160, 120, (320, 240)));
    let mut small = settings();
    small.kept_frame_bytes = 3 * 160 * 120 * 3 / 2;
    let fewer = decoder(&small).decode(&file, &SamplingPlan { max_frames: 100, ..plan }).unwrap();
    assert!(fewer.frames.len() <= 3 && !fewer.frames.is_empty(), "{}", fewer.frames.len());
}

#[test]
fn thumbnails_tell_a_frozen_picture_from_noise() {
    // One second that moves, one that stands still, one of noise alone.
    let parts = "-f lavfi -i testsrc2=s=320x240:r=20:d=1,noise=alls=8:allf=t \
                 -f lavfi -i testsrc2=s=320x240:r=20:d=0.05,loop=loop=19:size=1,setpts=N/20/TB \
                 -f lavfi -i color=gray:s=320x240:r=20:d=1,noise=alls=8:allf=t \
                 -filter_complex [0][1][2]concat=n=3 -c:v libx264 -preset ultrafast -qp 10";
    let clip = decode(&ffmpeg(parts, "mp4")).unwrap();
    let same = |from: usize| {
        let part = &clip.thumbnails[from..from + 20];
        part.windows(2).filter(|pair| pair[0].checksum == pair[1].checksum).count()
    };
    assert_eq!(
        (same(0), same(40)),
        (0, 0),
        "what moves, if only by noise, has a new checksum for each frame"
    );
    assert!(same(20) >= 15, "the decoder repeats a frozen picture exactly: {}", same(20));
    assert!(
        clip.thumbnails[40].luma.iter().all(|luma| luma.abs_diff(128) < 6),
        "{:?}",
        clip.thumbnails[40].luma
    );
}

/// The corner, counted clockwise from the upper left one, that is red.
fn red_corner(clip: &Clip) -> Vec<usize> {
    let frame = &clip.frames[0];
    let (rgb, width, height) = (frame.rgb(), frame.width as usize, frame.height as usize);
    let red = |x: usize, y: usize| {
        let pixel = &rgb[3 * (y * width + x)..][..3];
        pixel[0] > 150 && pixel[1] < 90
    };
    let (right, lower) = (width - 8, height - 8);
    [red(8, 8), red(right, 8), red(right, lower), red(8, lower)]
        .iter()
        .enumerate()
        .filter(|(_, red)| **red)
        .map(|(corner, _)| corner)
        .collect()
}

#[test]
fn frames_are_upright_as_a_player_shows_them() {
    let marked = "-f lavfi -i color=gray:s=320x240:r=10:d=0.5 -vf drawbox=x=0:y=0:w=80:h=60:color=red:t=fill -c:v libx264 -preset ultrafast";
    for ending in ["mp4", "mov"] {
        let bytes = ffmpeg(marked, ending);
        let one = 1_i32 << 16;
        // The matrix of the track's header (ISO/IEC 14496-12, 8.3.2), for 0, 90, 180, 270 degrees clockwise.
        let turns = [[one, 0, 0, one], [0, one, -one, 0], [-one, 0, 0, -one], [0, -one, one, 0]];
        for (quarter, [a, b, c, d]) in turns.into_iter().enumerate() {
            let mut turned = bytes.clone();
            let at = turned.windows(4).position(|window| window == b"tkhd").unwrap() + 44;
            for (place, value) in [a, b, 0, c, d, 0].into_iter().enumerate() {
                turned[at + 4 * place..][..4].copy_from_slice(&value.to_be_bytes());
            }
            let clip = decode(&turned).unwrap();
            assert_eq!(red_corner(&clip), [quarter], "{ending}, {} degrees", 90 * quarter);
            assert_eq!(clip.size, if quarter % 2 == 1 { (240, 320) } else { (320, 240) });
            assert_eq!((clip.frames[0].width, clip.frames[0].height), clip.size);
        }
    }
}

#[test]
fn odd_sides_and_pixels_that_are_not_square() {
    let clip = decode(&pattern(
        "640x480",
        10,
        0.5,
        "-vf scale=321:243,setsar=1 -c:v libvpx -deadline realtime",
        "webm",
    ))
    .unwrap();
    assert_eq!(clip.size, (321, 243));
    assert!([320, 322].contains(&clip.frames[0].width) && [242, 244].contains(&clip.frames[0].height));
    let clip =
        decode(&pattern("320x240", 10, 0.5, "-vf setsar=2/1 -c:v libx264 -preset ultrafast", "mp4")).unwrap();
    assert_eq!((clip.size, clip.frames[0].width, clip.frames[0].height), ((640, 240), 640, 240));
}

#[test]
fn larger_frames_are_scaled_down() {
    let clip = decode(&pattern("1280x720", 10, 0.5, "-c:v libx264 -preset ultrafast", "mp4")).unwrap();
    assert_eq!((clip.size, clip.frames[0].width, clip.frames[0].height), ((1280, 720), 960, 540));
    assert_eq!(clip.frames[0].luma().len(), 960 * 540);
}

#[test]
fn a_change_of_size_in_mid_video_changes_nothing_of_the_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut joined = Vec::new();
    for size in ["320x240", "160x120"] {
        let path = folder.path().join("part.ivf");
        crate::clips::run_ffmpeg(&format!("-f lavfi -i testsrc2=s={size}:r=10:d=1 -c:v libvpx -g 1"), &path);
        let part = std::fs::read(&path).unwrap();
        joined.extend_from_slice(if joined.is_empty() { &part } else { &part[32..] });
    }
    // The frames of both parts have times from 0; those of the second are moved to their place.
    let mut at = 32;
    for number in 0..20_u64 {
        joined[at + 4..at + 12].copy_from_slice(&number.to_le_bytes());
        at += 12 + u32::from_le_bytes(joined[at..at + 4].try_into().unwrap()) as usize;
    }
    let path = folder.path().join("joined.ivf");
    std::fs::write(&path, joined).unwrap();
    let bytes = ffmpeg(&format!("-i {} -c copy", path.display()), "webm");
    let clip = decode(&bytes).unwrap();
    assert_eq!((clip.frame_count, clip.frames.len()), (20, 20));
    assert!(clip.frames.iter().all(|frame| (frame.width, frame.height) == (320, 240)));
}
