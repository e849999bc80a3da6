//! Maps the failure of a job to the error that the caller reads.

use faceline_shared::job::replay::ReplayError;
use faceline_shared::job::{JobFailure, Subject};

use crate::fault::Fault;

/// The error of a failed job. It names the picture that is the cause, if there is one.
pub(super) fn fault(failure: &JobFailure) -> Fault {
    let name = |subject: &Subject| match subject {
        Subject::Live(at) => format!("live image {}", u32::from(*at) + 1),
        Subject::Photo => "photo".to_owned(),
        Subject::Video => "video".to_owned(),
        // This family never sends these to a worker.
        Subject::Image | Subject::Reference | Subject::Candidate => "image".to_owned(),
    };
    match failure {
        JobFailure::BadPicture { subject, reason } => {
            Fault::Invalid(format!("The {} cannot be decoded: {reason}.", name(subject)))
        }
        JobFailure::BadVideo(reason) if is_the_videos(*reason) => {
            Fault::Invalid(format!("The video cannot be decoded: {reason}."))
        }
        JobFailure::NoFace { subject } => {
            Fault::Invalid(format!("No face was found in the {}.", name(subject)))
        }
        JobFailure::SeveralFaces { subject } => {
            Fault::Invalid(format!("More than one face was found in the {}.", name(subject)))
        }
        JobFailure::BadVideo(_)
        | JobFailure::OtherAlgorithm { .. }
        | JobFailure::BlobLost
        | JobFailure::Expired { .. }
        | JobFailure::Poison { .. }
        | JobFailure::Unsupported
        | JobFailure::OtherKeys
        | JobFailure::Internal => Fault::Internal,
    }
}

/// Whether the video is the cause, so the caller can send another one.
fn is_the_videos(reason: ReplayError) -> bool {
    match reason {
        ReplayError::UnsupportedFormat
        | ReplayError::UnsupportedCodec
        | ReplayError::Malformed
        | ReplayError::TooLong
        | ReplayError::TooLarge
        | ReplayError::TooExpensive => true,
        ReplayError::Undecryptable | ReplayError::Lost | ReplayError::NotInTime | ReplayError::Internal => {
            false
        }
    }
}
