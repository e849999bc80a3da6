//! Whether a clip shows one flat picture all the time.
//!
//! A sheet that is moved, tilted and bent keeps its face: each two frames agree once one is warped onto the other
//! ([`FacePatch`]). A living face does not: within seconds somebody blinks, speaks, or turns the head, whose parts lie at
//! different depths. The measure is the 5th percentile of the pairs' correlations, so it needs no particular
//! movement. It does not depend on the camera's colours and sharpness: noise and blur only make a sheet look less flat.

use super::tracker::Tracked;
use crate::pipeline::{LogisticCurve, WarpMatch};

/// Faces that are compared in pairs.
const FACES: usize = 10;
/// Minimum number of faces for a decision, and the minimum time in seconds from the first to the last of them.
const MIN_FACES: usize = 5;
const MIN_SPAN_SECONDS: f32 = 1.2;

/// The measure is this quantile of the pairs' correlations.
const MIN_SHARE: f32 = 0.05;

/// Largest displacement in eye distances of a face that does not move. Living people move by 0.04 and more within three
/// seconds, and photos in a video by 0.005 at most, with added noise.
const MAX_STILL_DISPLACEMENT: f32 = 0.012;

/// Thresholds of the correlation: living faces reach 0.965 within 2.7 s, prints have a median of 0.97, photos moved by software 0.99.
pub(super) const FLAT: LogisticCurve = LogisticCurve { medium: 0.976, high: 0.97 };

/// The motion of a face over a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FaceMotion {
    /// Correlation that one pair of faces in twenty does not reach, -1 to 1.
    pub(super) correlation: f32,
    /// The largest displacement, in eye distances.
    pub(super) displacement: f32,
}

impl FaceMotion {
    /// Compares the faces of the key frames; `None` where there are too few, or within too short a time.
    pub(super) fn new(tracked: &Tracked) -> Option<Self> {
        let Tracked { track, key_frames, patches } = tracked;
        let faces: Vec<usize> = key_frames
            .iter()
            .map(|key_frame| key_frame.index)
            .filter(|index| patches.contains_key(index))
            .collect();
        let (Some(&first), Some(&last)) = (faces.first(), faces.last()) else { return None };
        let span = track.frames[last].time - track.frames[first].time;
        if faces.len() < MIN_FACES || span < MIN_SPAN_SECONDS {
            return None;
        }
        let chosen: Vec<usize> =
            super::sampling::equidistant(faces.len(), FACES).into_iter().map(|at| faces[at]).collect();
        let mut pairs = Vec::new();
        for (i, one) in chosen.iter().enumerate() {
            pairs.extend(chosen[i + 1..].iter().filter_map(|other| patches[one].warp_match(&patches[other])));
        }
        Self::of(&pairs)
    }

    fn of(pairs: &[WarpMatch]) -> Option<Self> {
        let mut correlations: Vec<f32> = pairs.iter().map(|pair| pair.correlation).collect();
        correlations.sort_by(f32::total_cmp);
        let correlation = *correlations.get((MIN_SHARE * pairs.len() as f32) as usize)?;
        let displacement = pairs.iter().map(|pair| pair.displacement).fold(0.0, f32::max);
        Some(Self { correlation, displacement })
    }

    /// Whether nothing moves: neither the face nor anything in it.
    pub(super) fn is_still(self) -> bool {
        self.displacement < MAX_STILL_DISPLACEMENT && self.correlation >= FLAT.medium
    }
}
