//! The best picture of the person in a clip.

use bytes::Bytes;
use faceline_shared::digest::sha256_hex;
use faceline_shared::face::CodedFace;
use faceline_shared::job::replay::BestImage;

use super::track::TrackedFace;
use super::tracker::{KeyFrame, Tracked};
use crate::matching::Comparator;
use crate::picture::{Affine, encode_upright};
use crate::pipeline::{Candidate, Frame, Rotation};
use crate::video::Clip;

/// Quality of the JPEG.
pub(super) const JPEG_QUALITY: i32 = 92;

/// Eyes count as closed if they are opened by less than this part of the median of the clip. The penalty lowers the frame's quality.
const CLOSED_EYES: f32 = 0.75;
const CLOSED_EYES_PENALTY: i32 = 150;
/// A finding lowers the frame's quality by this.
const FINDING_PENALTY: i32 = 300;

/// The key frame with exactly one face whose quality is best; one with opened eyes, if there is any.
pub(super) fn best_frame(key_frames: &[KeyFrame]) -> Option<&KeyFrame> {
    let candidates: Vec<(&KeyFrame, i32, f32)> = key_frames
        .iter()
        .filter(|key_frame| key_frame.shown.faces.len() == 1)
        .filter_map(|key_frame| {
            key_frame.face.as_ref().map(|face| (key_frame, face.quality, face.eye_opening))
        })
        .collect();
    let mut openings: Vec<f32> = candidates.iter().map(|(.., opening)| *opening).collect();
    openings.sort_by(f32::total_cmp);
    let median = openings.get(openings.len() / 2).copied().unwrap_or_default();
    let rank = |&&(key_frame, quality, opening): &&(&KeyFrame, i32, f32)| {
        let closed = if opening < CLOSED_EYES * median { CLOSED_EYES_PENALTY } else { 0 };
        let finding = if key_frame.is_suitable() { 0 } else { FINDING_PENALTY };
        quality - closed - finding
    };
    candidates.iter().max_by_key(rank).map(|(key_frame, ..)| *key_frame)
}

/// Describes the frame as a picture of its own; `None` if it cannot be encoded.
pub(super) fn describe(
    comparator: &Comparator,
    clip: &Clip,
    tracked: &Tracked,
    key_frame: &KeyFrame,
) -> Option<BestImage> {
    let frame = &clip.frames[key_frame.index];
    let tracked = &tracked.track.frames[key_frame.index];
    let face = tracked.face.as_ref()?;
    let rotation = face.candidate.frame.rotation;
    let jpeg = encode_upright(&frame.picture(), rotation.degrees(), JPEG_QUALITY)?;
    let candidate = upright(face);
    Some(BestImage {
        digest: sha256_hex(&jpeg),
        jpeg: Bytes::from(jpeg),
        face: CodedFace {
            quality: key_frame.face.as_ref()?.quality,
            eyes: candidate.eyes(),
            bounding_box: candidate.bounding_box(),
            face_box: Some(candidate.face_box()),
            embedding: comparator.embedding(face.embedding.as_deref()?),
        },
        time_ms: (tracked.time * 1000.0).round() as u64,
    })
}

/// The face in the picture that was rotated until the face stands upright.
fn upright(face: &TrackedFace) -> Candidate {
    let frame = Frame { rotation: Rotation::None, to_upright: Affine::IDENTITY, ..face.candidate.frame };
    Candidate { frame, landmarks: face.landmarks.clone(), ..face.candidate.clone() }
}
