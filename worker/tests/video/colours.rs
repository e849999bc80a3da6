//! Colours come out as they went in, whatever matrix coefficients, range and depth a video has.

use crate::clips::{decode, ffmpeg};

const COLOURS: [(&str, [u8; 3]); 5] = [
    ("0xe01010", [0xE0, 0x10, 0x10]),
    ("0x10d020", [0x10, 0xD0, 0x20]),
    ("0x2030e0", [0x20, 0x30, 0xE0]),
    ("0xc08868", [0xC0, 0x88, 0x68]),
    ("0x181818", [0x18, 0x18, 0x18]),
];

#[test]
fn every_matrix_range_and_depth() {
    let forms = [
        ("bt601:out_range=tv,format=yuv420p", "-colorspace smpte170m -color_range tv -c:v libx264", "mp4"),
        ("bt601:out_range=pc,format=yuv420p", "-colorspace smpte170m -color_range pc -c:v libx264", "mp4"),
        ("bt709:out_range=tv,format=yuv420p", "-colorspace bt709 -color_range tv -c:v libx264", "mp4"),
        ("bt709:out_range=pc,format=yuv420p", "-colorspace bt709 -color_range pc -c:v libx264", "mov"),
        ("bt709:out_range=tv,format=yuv420p10le", "-colorspace bt709 -color_range tv -c:v libx264", "mkv"),
        (
            "bt2020:out_range=tv,format=yuv420p10le",
            "-colorspace bt2020nc -color_range tv -c:v libvpx-vp9 -cpu-used 8",
            "webm",
        ),
        ("bt709:out_range=tv,format=yuv444p", "-colorspace bt709 -color_range tv -c:v libx264", "mp4"),
        ("bt601:out_range=pc,format=yuvj420p", "-c:v mjpeg -q:v 2", "mov"),
        ("bt601:out_range=tv,format=yuv420p", "-c:v libvpx -deadline realtime", "webm"),
    ];
    for (format, encoding, ending) in forms {
        for (name, wanted) in COLOURS {
            let filter = format!("-vf scale=out_color_matrix={format}");
            let bytes =
                ffmpeg(&format!("-f lavfi -i color={name}:s=128x96:r=5:d=0.4 {filter} {encoding}"), ending);
            let clip = decode(&bytes).unwrap();
            let frame = &clip.frames[0];
            let at = 3 * (frame.height / 2 * frame.width + frame.width / 2) as usize;
            let pixel = &frame.rgb()[at..at + 3];
            let error = pixel.iter().zip(wanted).map(|(is, wanted)| is.abs_diff(wanted)).max();
            assert!(error <= Some(6), "{name} in {format} {encoding}: {pixel:?}");
        }
    }
}

/// As players do: BT.709 from 720 lines on, BT.601 below.
#[test]
fn an_unnamed_matrix_is_that_of_the_size() {
    for (size, matrix) in [("320x240", "bt601"), ("1280x720", "bt709")] {
        let bytes = ffmpeg(
            &format!(
                "-f lavfi -i color=0x10d020:s={size}:r=5:d=0.4 -vf scale=out_color_matrix={matrix},format=yuv420p \
                 -colorspace unknown -c:v libx264 -preset ultrafast"
            ),
            "mp4",
        );
        let pixel = &decode(&bytes).unwrap().frames[0].rgb()[..3].to_vec();
        let error = pixel.iter().zip([0x10, 0xD0, 0x20_u8]).map(|(is, wanted)| is.abs_diff(wanted)).max();
        assert!(error <= Some(6), "{size}: {pixel:?}");
    }
}
