//! Measures videos and folders of frames as the service judges videos.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use bytes::Bytes;
use faceline_worker::pipeline::Pipeline;
use faceline_worker::video::{DecodeError, Decoder, MemoryFile, SamplingPlan};
use faceline_worker::{MeasuredClip, measure_clip, measure_frames};

/// Measures a video file, or the frames in a folder. `None` if the file cannot be decoded as a video.
pub(super) fn measure(
    pipeline: &mut Pipeline,
    decoder: &Decoder,
    path: &Path,
) -> anyhow::Result<Option<MeasuredClip>> {
    if path.is_dir() {
        let frames = frames(path)?;
        ensure!(!frames.is_empty(), "the folder has no frames");
        let frames = frames.iter().map(|frame| std::fs::read(frame).map(Bytes::from));
        return Ok(Some(measure_frames(pipeline, &frames.collect::<Result<Vec<_>, _>>()?)?));
    }
    let video = MemoryFile::of(&std::fs::read(path)?)?;
    match decoder.decode(&video, &SamplingPlan::default()) {
        Ok(clip) => Ok(Some(measure_clip(pipeline, &clip)?)),
        Err(DecodeError::Video(_)) => Ok(None),
        Err(error @ DecodeError::Unavailable(_)) => Err(error.into()),
    }
}

/// The files of a folder in the order of their names, without hidden files.
fn frames(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
