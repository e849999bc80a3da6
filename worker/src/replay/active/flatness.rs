//! Looks for a flat picture in the whole clip, whether or not the clip follows the challenge.

use super::evidence::Evidence;
use super::neutral_pose::NeutralPose;
use super::usable::{Usable, evenly_spaced};
use crate::inference::InferenceError;
use crate::pipeline::{HeadTurn, Landmarks};

/// A face is deformed if an affine map from the neutral pose scales it so much less in one direction than in the other:
/// a sheet that is tilted by 20 degrees.
const MAX_SQUEEZE: f32 = 0.94;
/// A face is also deformed if the head seems to turn by this sine.
const MIN_TURN_SINE: f32 = 0.15;

/// Maximum number of deformed frames that are compared with the reference, and the minimum that a clip must have for a
/// decision.
const DEFORMED: (usize, usize) = (12, 3);
/// Correlation above which a deformed face is that of a warped photo, in parts of the noise ceiling.
const WARP_CORRELATION: f32 = 0.95;
/// Share of the deformed frames that must show a warped photo.
const MIN_WARPED_SHARE: f32 = 0.5;

/// Maximum number of frames of the whole clip that are compared with the reference, and the minimum that a clip must
/// have for a decision.
const WHOLE: (usize, usize) = (60, 12);
/// In a still picture, one frame of this many may be covered or blurred. Of a living person, more frames show a blink.
const ODD_FRAME_OF: usize = 30;
/// Correlation above which a face did not change, in parts of the noise ceiling: nobody blinks or speaks.
const STILL_CORRELATION: f32 = 0.965;

/// Landmarks that keep their place while the face moves: nose, eyes, corners of the mouth, chin, ends of the jaw.
const FIRM: [usize; 26] =
    [27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 54, 8, 0, 16];

/// The face with which others are compared.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// Index of its frame in the track.
    frame: usize,
    landmarks: Landmarks,
}

impl Reference {
    /// The neutral pose, or the first face where there is none.
    pub(super) fn new(frames: &[Usable<'_>], neutral: Option<&NeutralPose>) -> Option<Self> {
        match neutral {
            Some(neutral) => Some(Self { frame: neutral.middle(), landmarks: neutral.landmarks.clone() }),
            None => {
                let first = frames.first()?;
                Some(Self { frame: first.index, landmarks: first.face.landmarks.clone() })
            }
        }
    }

    fn correlations(
        &self,
        frames: &[Usable<'_>],
        evidence: &mut impl Evidence,
    ) -> Result<Vec<f32>, InferenceError> {
        frames.iter().map(|frame| evidence.warp_correlation(self.frame, frame.index)).collect()
    }

    fn is_deformed(&self, frame: &Usable<'_>) -> bool {
        let [right, down] = HeadTurn::between(&self.landmarks, &frame.face.landmarks).mean();
        right.hypot(down) >= MIN_TURN_SINE || squeeze(&self.landmarks, &frame.face.landmarks) <= MAX_SQUEEZE
    }
}

/// Whether the deformed frames show one flat picture that is tilted or bent. `ceiling` is the correlation of pictures
/// that differ by noise only.
pub(super) fn is_warped_photo(
    frames: &[Usable<'_>],
    reference: &Reference,
    ceiling: f32,
    evidence: &mut impl Evidence,
) -> Result<bool, InferenceError> {
    let deformed: Vec<Usable<'_>> =
        frames.iter().filter(|frame| reference.is_deformed(frame)).copied().collect();
    if deformed.len() < DEFORMED.1 {
        return Ok(false);
    }
    let found = reference.correlations(&evenly_spaced(&deformed, DEFORMED.0), evidence)?;
    let warped = found.iter().filter(|&&correlation| correlation >= WARP_CORRELATION * ceiling).count();
    Ok(warped as f32 >= MIN_WARPED_SHARE * found.len() as f32)
}

/// Whether all frames show one picture.
pub(super) fn is_still(
    frames: &[Usable<'_>],
    reference: &Reference,
    ceiling: f32,
    evidence: &mut impl Evidence,
) -> Result<bool, InferenceError> {
    if frames.len() < WHOLE.1 {
        return Ok(false);
    }
    let mut found = reference.correlations(&evenly_spaced(frames, WHOLE.0), evidence)?;
    found.sort_by(f32::total_cmp);
    Ok(found[found.len() / ODD_FRAME_OF] >= STILL_CORRELATION * ceiling)
}

/// Smaller over larger scale of the affine map with the least squared error from one face's firm landmarks to the
/// other's, 0 to 1.
fn squeeze(from: &Landmarks, to: &Landmarks) -> f32 {
    let mean = |landmarks: &Landmarks, axis: usize| {
        FIRM.iter().map(|&i| landmarks.0[i][axis]).sum::<f32>() / FIRM.len() as f32
    };
    let (from_mean, to_mean) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
    let (mut moments, mut products) = ([[0.0; 2]; 2], [[0.0; 2]; 2]);
    for i in FIRM {
        let [p, q] = [(from, from_mean), (to, to_mean)]
            .map(|(landmarks, mean)| [landmarks.0[i][0] - mean[0], landmarks.0[i][1] - mean[1]]);
        for row in 0..2 {
            for column in 0..2 {
                moments[row][column] += p[row] * p[column];
                products[row][column] += q[row] * p[column];
            }
        }
    }
    let [[a, b], [_, d]] = moments;
    let determinant = (a * d - b * b).max(f32::MIN_POSITIVE);
    // The map is `products * moments^-1`.
    let [[p, q], [r, s]] =
        products.map(|[x, y]: [f32; 2]| [(x * d - y * b) / determinant, (y * a - x * b) / determinant]);
    // Singular values of a 2 x 2 matrix (Blinn 1996).
    let (sum, difference) = (((p + s) / 2.0).hypot((q - r) / 2.0), ((p - s) / 2.0).hypot((q + r) / 2.0));
    (sum - difference).abs() / (sum + difference).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::LANDMARK_COUNT;

    #[test]
    fn a_squeezed_face_is_squeezed_whatever_its_roll_and_size() {
        let face = Landmarks(std::array::from_fn::<_, LANDMARK_COUNT, _>(|i| {
            [(i * 7 % 40) as f32, (i * 11 % 50) as f32]
        }));
        for (factor, degrees) in [(1.0_f32, 30.0_f32), (0.9, 0.0), (0.8, 50.0), (0.7, -20.0)] {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            let moved = Landmarks(face.0.map(|[x, y]| {
                let x = factor * x;
                [3.0 * (x * cosine - y * sine) + 70.0, 3.0 * (x * sine + y * cosine) - 9.0]
            }));
            assert!((squeeze(&face, &moved) - factor).abs() < 1e-3, "{factor}: {}", squeeze(&face, &moved));
        }
    }
}
