//! Detection of cuts in a clip.
//!
//! A cut is a jump of the whole picture that stays, and of the face with it. Either alone is no evidence: a lamp that is switched on
//! moves no face, and a fast movement over dropped frames is no jump beside its neighbours.

use super::track::Track;
use super::tracker::Tracked;
use crate::video::Thumbnail;

/// Minimum mean squared difference of two thumbnails at a jump.
const MIN_JUMP: f32 = 25.0;
/// Ratio of a jump to the largest difference of its neighbours, from which on a clear change of the face (`DOUBTFUL`), or any
/// (`CERTAIN`), makes a cut. Living people reach 11 where frames were dropped, cuts have 30 and more.
const DOUBTFUL_RATIO: f32 = 6.0;
const CERTAIN_RATIO: f32 = 20.0;
/// Added to the neighbours' difference in the ratio: still scenes have none.
const NEIGHBOUR_FLOOR: f32 = 2.0;
/// Neighbours on each side.
const NEIGHBOURS: usize = 3;

/// At most this many jumps are examined, the highest ones.
const MAX_CUT_CANDIDATES: usize = 8;

/// Maximum time in seconds between the faces that are compared.
const MAX_GAP_SECONDS: f32 = 0.5;

/// Bounds of a clear change of the face, and of any change: a correlation below the first number, or a displacement in eye distances
/// above the second. From one sampled frame to the next, living people keep 0.84 or move by 0.2.
const CLEAR_CHANGE: (f32, f32) = (0.75, 0.35);
const ANY_CHANGE: (f32, f32) = (0.88, 0.12);

/// A jump of the picture that may be a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CutCandidate {
    /// Number of the first frame after it.
    number: usize,
    ratio: f32,
}

/// Jumps of the whole picture that stay.
pub(super) fn cut_candidates(thumbnails: &[Thumbnail]) -> Vec<CutCandidate> {
    let steps: Vec<f32> = thumbnails.windows(2).map(|pair| difference(&pair[0], &pair[1])).collect();
    let mut found: Vec<CutCandidate> = Vec::new();
    for (at, &step) in steps.iter().enumerate().filter(|(_, step)| **step >= MIN_JUMP) {
        let before = at.saturating_sub(NEIGHBOURS)..at;
        let after = at + 1..(at + 1 + NEIGHBOURS).min(steps.len());
        let neighbours = before.clone().chain(after.clone()).map(|at| steps[at]).fold(0.0, f32::max);
        // A flash is over two frames later.
        let lasting = difference(&thumbnails[before.start], &thumbnails[after.end.min(thumbnails.len() - 1)]);
        let ratio = step.min(lasting) / (neighbours + NEIGHBOUR_FLOOR);
        if ratio >= DOUBTFUL_RATIO {
            found.push(CutCandidate { number: at + 1, ratio });
        }
    }
    found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    found.truncate(MAX_CUT_CANDIDATES);
    found
}

/// The numbers of the sampled frames, in `sampled`, that lie next to the jumps.
pub(super) fn frames_beside(
    cut_candidates: &[CutCandidate],
    sampled: &(impl Iterator<Item = usize> + Clone),
) -> Vec<usize> {
    let beside = |cut_candidate: &CutCandidate| {
        let before = sampled.clone().filter(|&number| number < cut_candidate.number).max();
        let after = sampled.clone().filter(|&number| number >= cut_candidate.number).min();
        [before, after]
    };
    cut_candidates.iter().flat_map(beside).flatten().collect()
}

/// Whether the face changes at one of the jumps.
pub(super) fn is_cut(cut_candidates: &[CutCandidate], tracked: &Tracked) -> bool {
    cut_candidates.iter().any(|cut_candidate| changes_face(*cut_candidate, tracked))
}

fn changes_face(cut_candidate: CutCandidate, tracked: &Tracked) -> bool {
    let Tracked { track, patches, .. } = tracked;
    let is_certain = cut_candidate.ratio >= CERTAIN_RATIO;
    let at = track.frames.partition_point(|frame| frame.number < cut_candidate.number);
    if at == 0 || at == track.frames.len() {
        return false;
    }
    let gap = track.frames[at].time - track.frames[at - 1].time;
    match (patches.get(&(at - 1)), patches.get(&at)) {
        (Some(before), Some(after)) if gap <= MAX_GAP_SECONDS => {
            let (correlation, displacement) = if is_certain { ANY_CHANGE } else { CLEAR_CHANGE };
            before.correlation(after) < correlation || moved(track, at) > displacement
        }
        // The face appears or disappears together with everything else.
        (Some(_), None) | (None, Some(_)) => is_certain,
        _ => false,
    }
}

/// Mean displacement of the face's anchors from the frame before to frame `at`, in eye distances.
fn moved(track: &Track, at: usize) -> f32 {
    let face = |at: usize| track.frames[at].face.as_ref();
    let (Some(before), Some(after)) = (face(at - 1), face(at)) else { return 0.0 };
    let (one, other) = (before.landmarks.anchors(), after.landmarks.anchors());
    let apart = |(p, q): (&[f32; 2], &[f32; 2])| (p[0] - q[0]).hypot(p[1] - q[1]);
    let mean = one.iter().zip(&other).map(apart).sum::<f32>() / one.len() as f32;
    mean / before.eye_distance().max(f32::MIN_POSITIVE)
}

/// Mean squared difference.
fn difference(one: &Thumbnail, other: &Thumbnail) -> f32 {
    let squares = one.luma.iter().zip(&other.luma).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2));
    squares.sum::<u32>() as f32 / 256.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Thumbnails of one level each.
    fn clip(levels: &[u8]) -> Vec<Thumbnail> {
        (0..)
            .zip(levels)
            .map(|(number, &level)| Thumbnail {
                number,
                time: Duration::from_millis(u64::from(number) * 40),
                luma: [level; 256],
                checksum: number,
            })
            .collect()
    }

    fn numbers(levels: &[u8]) -> Vec<usize> {
        cut_candidates(&clip(levels)).iter().map(|cut_candidate| cut_candidate.number).collect()
    }

    #[test]
    fn a_jump_that_stays_is_a_cut_candidate_and_a_flash_or_a_pan_is_not() {
        assert_eq!(numbers(&[50, 50, 51, 50, 50, 90, 90, 91, 90, 90]), [5]);
        assert!(numbers(&[50, 50, 51, 50, 50, 90, 50, 50, 51, 50]).is_empty(), "a flash");
        assert!(numbers(&[50, 60, 70, 80, 90, 100, 110, 120, 130]).is_empty(), "a pan");
        assert!(numbers(&[50, 50, 50, 53, 53, 53]).is_empty(), "a small change");
        assert!(numbers(&[50]).is_empty());
        let most = (0..200).map(|at| if at / 10 % 2 == 0 { 50 } else { 200 }).collect::<Vec<u8>>();
        assert_eq!(numbers(&most).len(), MAX_CUT_CANDIDATES);
    }

    #[test]
    fn the_frames_beside_a_jump_are_those_that_were_sampled() {
        let cut_candidate = CutCandidate { number: 14, ratio: 30.0 };
        assert_eq!(frames_beside(&[cut_candidate], &(0..40).step_by(3)), [12, 15]);
        assert_eq!(frames_beside(&[cut_candidate], &(0..14).step_by(3)), [12]);
    }
}
