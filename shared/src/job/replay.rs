//! The judging of videos: tasks and results.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::examination::{Direction, ExaminedPicture};
use crate::face::CodedFace;
use crate::liveness::SecurityLevel;
use crate::replay::LivenessType;

/// The task of judging an uploaded video.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Replay {
    /// The video, encrypted, in the object store.
    pub media: EncryptedMedia,
    /// Kind of liveness that the video must prove.
    pub liveness: LivenessType,
    /// Required certainty of the judgement.
    pub level: SecurityLevel,
    /// The directions in which the head must turn, in this order; empty unless `liveness` is [`LivenessType::Active`].
    pub challenges: Vec<Direction>,
    /// Times at which the device showed the challenges; empty if it did not report them.
    pub events: Vec<ChallengeEvent>,
    /// Whether the frames are mirrored, as a front camera's preview is.
    pub mirrored: bool,
    /// Export the best image.
    pub exports_image: bool,
    /// Export the video.
    pub exports_video: bool,
}

/// Time at which a device showed a challenge.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChallengeEvent {
    /// Index of the challenge.
    pub challenge: u8,
    /// Time from the first frame, in milliseconds.
    pub shown_at_ms: u64,
}

/// A video in the object store, and the key that opens it. See [`crate::replay`] for the format.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct EncryptedMedia {
    /// Key of the object.
    pub object: String,
    /// Bytes of the object.
    pub length: u64,
    /// The key of AES-256-GCM.
    pub key: [u8; 32],
    /// The first bytes of each chunk's nonce.
    pub nonce_prefix: [u8; 7],
    /// The session, which is part of the associated data.
    pub session: Uuid,
    /// The replay's id, which is part of the associated data.
    pub replay: String,
    /// Media type of the plaintext, as the device claims.
    pub content_type: String,
}

impl fmt::Debug for EncryptedMedia {
    /// Leaves the key out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, length, content_type, .. } = self;
        write!(formatter, "EncryptedMedia({object}, {length} bytes of {content_type})")
    }
}

/// The result of judging a replay.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Replayed {
    /// The verdict.
    pub verdict: Verdict,
    /// The best picture of the person; `None` if no frame has exactly one usable face.
    pub best_image: Option<BestImage>,
    /// Location of the exported best image.
    pub image_storage: Option<ExportedMedia>,
    /// Location of the exported video.
    pub video_storage: Option<ExportedMedia>,
}

/// The verdict on a video.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Verdict {
    /// A living person who followed the challenges, if there were any.
    Success,
    /// Evidence of an attack.
    Spoof(SpoofReason),
    /// No evidence of an attack, but unusable, or the challenge was not followed.
    Failed(FailedReason),
    /// The video cannot be judged for a technical reason.
    Error(ReplayError),
}

/// Evidence of an attack.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum SpoofReason {
    /// The face looks like a print or a screen.
    Presentation,
    /// The face moves as a flat picture does.
    FlatMotion,
    /// The surroundings move together with the face.
    MovingBackground,
    /// Nothing moves.
    Still,
    /// The video is frozen for a while.
    Frozen,
    /// A part of the video is repeated.
    Loop,
    /// The video is cut.
    Cut,
    /// Another person appears, at the same time or later.
    SecondPerson,
}

/// Reason why a video without evidence of an attack fails.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum FailedReason {
    /// No face is found.
    NoFace,
    /// The face is not in the picture for long enough.
    FaceLost,
    /// The face fills the picture.
    TooClose,
    /// The face is too small.
    TooFar,
    /// The face is too dark, too bright, or has no contrast.
    Lighting,
    /// The face is covered.
    Covered,
    /// The face is blurred, or moves too fast.
    Blurred,
    /// The face is turned away or cut by the picture's border.
    Framing,
    /// The video is too short.
    TooShort,
    /// The head did not follow the challenges in time.
    ChallengeNotFollowed,
}

/// Reason why a video cannot be judged. Its `Display` text is for the service provider.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, thiserror::Error)]
pub enum ReplayError {
    /// The encrypted media does not open: changed, cut, or under another key.
    #[error("the encrypted media does not open")]
    Undecryptable,
    /// The bytes are not a video of an accepted format.
    #[error("the format is not supported")]
    UnsupportedFormat,
    /// The video's codec is not accepted.
    #[error("the codec is not supported")]
    UnsupportedCodec,
    /// The video is broken.
    #[error("the video is broken")]
    Malformed,
    /// The video is too long or has too many frames.
    #[error("the video is too long")]
    TooLong,
    /// The frames have too many pixels.
    #[error("the frames have too many pixels")]
    TooLarge,
    /// Decoding takes too much time or memory.
    #[error("decoding takes too much time or memory")]
    TooExpensive,
    /// The uploaded media is no longer there.
    #[error("the uploaded media was lost")]
    Lost,
    /// No worker judged the video in time.
    #[error("the video was not judged in time")]
    NotInTime,
    /// Anything else; the log has the details.
    #[error("internal error")]
    Internal,
}

/// The best picture of the person in a video.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct BestImage {
    /// A JPEG file, upright.
    pub jpeg: Bytes,
    /// SHA-256 of the file, in lower-case hex.
    pub digest: String,
    /// The face in it.
    pub face: CodedFace,
    /// Time of the frame from the first one, in milliseconds.
    pub time_ms: u64,
}

/// A file that was exported for the service provider.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExportedMedia {
    /// Region of the bucket.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// SHA-256 of the stored bytes, in lower-case hex.
    pub hash: String,
    /// Media type.
    pub content_type: String,
}

/// The task of judging a video whose caller waits (BWS). `P` is the representation of a file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VideoExamination<P> {
    /// The file.
    pub video: P,
    /// Required certainty of the judgement.
    pub level: SecurityLevel,
}

/// The result of judging such a video.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct VideoExamined {
    /// The frames that were examined, at equal distance.
    pub frames: Vec<ExaminedFrame>,
    /// Verdict on the video as a whole; [`Verdict::Error`] does not occur.
    pub verdict: Verdict,
    /// Liveness of the whole video, in (0, 1]; `None` if too few frames could be judged.
    pub liveness: Option<f32>,
}

/// An examined frame.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExaminedFrame {
    /// The frame's number in the video, from 0.
    pub number: u32,
    /// Result of its examination.
    pub picture: ExaminedPicture,
}
