//! Decoding without confinement: real videos and hostile files. `worker/tests/video` has the confined children.

use std::path::PathBuf;

use super::*;
use crate::test_data;

/// All files below a folder.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    files.extend(folders.into_iter().flat_map(self::files));
    files
}

/// Pictures have no container of a video. Damaged videos may have one, and then some frames or a fault.
#[test]
fn hostile_files_are_faults_of_their_own() {
    let Some(folder) = test_data::folder("hostile") else { return };
    let files = files(folder);
    assert!(files.len() > 100, "{} files", files.len());
    let decoder = Decoder::unconfined(DecodeLimits::default());
    for path in files {
        let bytes = MemoryFile::of(&std::fs::read(&path).unwrap()).unwrap();
        let is_video = path.file_name().unwrap().to_string_lossy().starts_with("video");
        match decoder.decode(&bytes, &SamplingPlan::default()) {
            Err(DecodeError::Video(VideoFault::UnsupportedFormat)) => (),
            Err(DecodeError::Video(_)) if is_video => (),
            Ok(clip) if is_video => assert!(clip.frame_count > 0),
            other => panic!("{}: {:?}", path.display(), other.map(|clip| clip.frame_count)),
        }
    }
}

#[test]
fn videos_of_cameras_are_decoded_whole() {
    let Some(folder) = test_data::folder("video") else { return };
    let decoder = Decoder::unconfined(DecodeLimits {
        time: std::time::Duration::from_mins(3),
        ..DecodeLimits::default()
    });
    for path in files(folder) {
        let is_video = path.extension().is_some_and(|ending| ending != "csv" && ending != "gif");
        if !is_video {
            continue;
        }
        let name = path.display();
        let video = MemoryFile::of(&std::fs::read(&path).unwrap()).unwrap();
        let clip = decoder
            .decode(&video, &SamplingPlan::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(clip.frame_count as usize, clip.thumbnails.len());
        assert!(clip.thumbnails.is_sorted_by_key(|thumbnail| thumbnail.time), "{name}");
        for frame in &clip.frames {
            assert_eq!(clip.thumbnails[frame.number as usize].time, frame.time, "{name}");
            assert_eq!(frame.picture().size(), (frame.width, frame.height));
        }
        let seconds = clip.duration.as_secs_f32();
        let wanted = (10.0 * seconds).min(clip.frame_count as f32).min(200.0);
        let least = if 10.0 * seconds > 200.0 { 100.0 } else { wanted - 2.0 };
        assert!(
            (least..=wanted + 2.0).contains(&(clip.frames.len() as f32)),
            "{name}: {} frames, {seconds} s",
            clip.frames.len()
        );
    }
}
