//! Files that are not videos of a kind that is decoded.

use std::time::Duration;

use faceline_worker::video::VideoFault;

use crate::clips::{fault, ffmpeg, pattern, settings};

#[test]
fn other_codecs_in_the_right_container_are_refused_by_name() {
    let others = [
        ("-c:v mpeg4", "mp4", "mpeg4"),
        ("-c:v prores_ks", "mov", "prores"),
        ("-c:v gif", "mkv", "gif"),
        ("-c:v rawvideo -pix_fmt yuv420p", "mkv", "rawvideo"),
        ("-c:v png", "mov", "png"),
        ("-c:v ffv1", "mkv", "ffv1"),
        ("-c:v theora", "mkv", "theora"),
    ];
    for (encoding, ending, name) in others {
        let bytes = pattern("160x120", 10, 0.3, encoding.replace("theora", "libtheora").as_str(), ending);
        assert_eq!(fault(&bytes, &settings()), VideoFault::UnsupportedCodec(name.to_owned()), "{encoding}");
    }
}

#[test]
fn other_containers_are_refused_before_a_decoder_starts() {
    let mut nowhere = settings();
    nowhere.ffmpeg = "/nowhere/ffmpeg".into();
    let others = [
        pattern("160x120", 10, 0.3, "-c:v libx264", "avi"),
        pattern("160x120", 10, 0.3, "-c:v libx264", "ts"),
        pattern("160x120", 10, 0.3, "-c:v libx264", "flv"),
        pattern("160x120", 10, 0.3, "", "gif"),
        pattern("160x120", 10, 0.3, "-frames:v 1", "jpg"),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n".to_vec(),
        b"ffconcat version 1.0\nfile '/etc/passwd'\n".to_vec(),
        b"<?xml version='1.0'?><MPD></MPD>".to_vec(),
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>".to_vec(),
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n".to_vec(),
        Vec::new(),
        vec![0; 100_000],
    ];
    for bytes in others {
        assert_eq!(fault(&bytes, &nowhere), VideoFault::UnsupportedFormat);
    }
}

#[test]
fn a_file_without_moving_pictures_has_no_video() {
    let sound = ffmpeg("-f lavfi -i sine=d=1 -c:a aac", "mp4");
    assert_eq!(fault(&sound, &settings()), VideoFault::NoVideo);
    let folder = tempfile::tempdir().unwrap();
    let cover = folder.path().join("cover.jpg");
    crate::clips::run_ffmpeg("-f lavfi -i color=red:s=64x64 -frames:v 1", &cover);
    let song = format!(
        "-f lavfi -i sine=d=1 -c:a libvorbis -attach {} -metadata:s:t mimetype=image/jpeg",
        cover.display()
    );
    assert_eq!(fault(&ffmpeg(&song, "mkv"), &settings()), VideoFault::NoVideo);
}

#[test]
fn limits_of_pixels_frames_and_length() {
    let bytes = pattern("320x240", 20, 2.0, "-c:v libx264 -preset ultrafast", "mp4");
    let mut few = settings();
    few.frame_pixels = 320 * 240 - 1;
    assert_eq!(fault(&bytes, &few), VideoFault::TooManyPixels { limit: 76_799 });
    let mut few = settings();
    few.video_frames = 39;
    assert_eq!(fault(&bytes, &few), VideoFault::TooManyFrames { limit: 39 });
    let limit = Duration::from_secs(1);
    let mut short = settings();
    short.video_length = limit;
    assert_eq!(fault(&bytes, &short), VideoFault::TooLong { limit });
    // Without a duration in the header, the frames show that the video is too long.
    let live = pattern("320x240", 20, 2.0, "-c:v libvpx -deadline realtime -f webm -live 1", "webm");
    assert_eq!(fault(&live, &short), VideoFault::TooLong { limit });
}

/// A track whose data is another file on this machine (a data reference) must not bring that file into the clip.
#[test]
fn a_reference_to_another_file_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.mov");
    crate::clips::run_ffmpeg("-f lavfi -i testsrc2=s=160x120:r=10:d=1 -c:v mjpeg", &other);
    let mut bytes = std::fs::read(&other).unwrap();
    refer_to(&mut bytes, other.to_str().unwrap());
    // The media itself is only in the other file.
    let data = bytes.windows(4).position(|window| window == b"mdat").unwrap();
    let index = bytes.windows(4).position(|window| window == b"moov").unwrap();
    bytes[data + 4..index - 4].fill(0);
    // ffmpeg follows the reference if it is allowed to, so the file is correct.
    let path = folder.path().join("referring.mov");
    std::fs::write(&path, &bytes).unwrap();
    crate::clips::run_ffmpeg(
        &format!("-enable_drefs 1 -use_absolute_path 1 -i {} -frames:v 5", path.display()),
        &folder.path().join("followed.mov"),
    );
    assert_eq!(fault(&bytes, &settings()), VideoFault::Malformed);
}

/// Replaces the data reference of the only track by a Macintosh alias with an absolute path (QuickTime File Format, `dref`).
fn refer_to(bytes: &mut Vec<u8>, path: &str) {
    let mut alias = b"alis\0\0\0\0".to_vec();
    let volume = b"\x04disk";
    alias.extend([0; 10]);
    alias.extend(volume);
    alias.resize(8 + 10 + 28, 0);
    alias.extend([0; 12]);
    alias.push(5);
    alias.extend(b"other");
    alias.resize(8 + 10 + 28 + 12 + 64, 0);
    alias.extend([0; 16]);
    // One level up from here, one level down to there.
    alias.extend([0, 1, 0, 1]);
    alias.extend([0; 16]);
    let path = format!("disk:{}", path.trim_start_matches('/').replace('/', ":"));
    alias.extend([0, 2]);
    alias.extend((path.len() as u16).to_be_bytes());
    alias.extend(path.bytes());
    if path.len() % 2 == 1 {
        alias.push(0);
    }
    alias.extend([0xFF, 0xFF, 0, 0]);
    let size = alias.len() as u32 + 4;
    let at = bytes.windows(4).rposition(|window| window == b"dref").unwrap() + 12;
    let old = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes.splice(at..at + old as usize, size.to_be_bytes().into_iter().chain(alias));
    for parent in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
        // The last `dinf` and `dref` before the place are those around it.
        let place = bytes[..at].windows(4).rposition(|window| window == parent).unwrap() - 4;
        let grown = u32::from_be_bytes(bytes[place..place + 4].try_into().unwrap()) + size - old;
        bytes[place..place + 4].copy_from_slice(&grown.to_be_bytes());
    }
}
