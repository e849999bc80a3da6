//! Derives a replay's terminal status from the result of its job, with the diagnostic for the service provider.

use faceline_shared::job::replay::{FailedReason, ReplayError, SpoofReason, Verdict};
use faceline_shared::job::{JobFailure, JobResult, Outcome};

use super::record::ReplayStatus;

/// The terminal status of a replay, with its cause.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Judgement {
    /// The status.
    pub(super) status: ReplayStatus,
    /// The cause, as metrics name it.
    pub(super) reason: &'static str,
    /// The cause in words; `None` after a success.
    pub(super) diagnostic: Option<&'static str>,
}

impl Judgement {
    /// The judgement of a job's outcome; `None` if the job was not done and can still be done.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Ok(JobResult::Replayed(replayed)) => Some(Self::of_verdict(replayed.verdict)),
            Ok(_) => {
                tracing::error!("the result's kind does not belong to a replay");
                Some(Self::error(ReplayError::Internal))
            }
            Err(JobFailure::BadVideo(error)) => Some(Self::error(*error)),
            Err(JobFailure::Poison { .. }) => Some(Self {
                status: ReplayStatus::Error,
                reason: "poison",
                diagnostic: Some("The video cannot be processed"),
            }),
            // No worker has judged the video. Its job is published once more.
            Err(
                JobFailure::Expired { .. }
                | JobFailure::Unsupported
                | JobFailure::OtherKeys
                | JobFailure::BlobLost,
            ) => None,
            Err(
                JobFailure::Internal
                | JobFailure::BadPicture { .. }
                | JobFailure::SeveralFaces { .. }
                | JobFailure::NoFace { .. }
                | JobFailure::OtherAlgorithm { .. },
            ) => Some(Self::error(ReplayError::Internal)),
        }
    }

    fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self { status: ReplayStatus::Success, reason: "live", diagnostic: None },
            Verdict::Spoof(reason) => Self::spoof(reason),
            Verdict::Failed(reason) => Self::failed(reason),
            Verdict::Error(error) => Self::error(error),
        }
    }

    /// The diagnostic names no detail, which would tell an attacker what to change.
    fn spoof(reason: SpoofReason) -> Self {
        let reason = match reason {
            SpoofReason::Presentation => "presentation",
            SpoofReason::FlatMotion => "flat_motion",
            SpoofReason::MovingBackground => "moving_background",
            SpoofReason::Still => "still",
            SpoofReason::Frozen => "frozen",
            SpoofReason::Loop => "loop",
            SpoofReason::Cut => "cut",
            SpoofReason::SecondPerson => "second_person",
        };
        Self { status: ReplayStatus::Spoof, reason, diagnostic: Some("Presentation attack detected") }
    }

    fn failed(reason: FailedReason) -> Self {
        let (reason, diagnostic) = match reason {
            FailedReason::NoFace => ("no_face", "No face detected"),
            FailedReason::FaceLost => ("face_lost", "Face not visible for long enough"),
            FailedReason::TooClose => ("too_close", "Face too close"),
            FailedReason::TooFar => ("too_far", "Face too far away"),
            FailedReason::Lighting => ("lighting", "Too much or too little brightness"),
            FailedReason::Covered => ("covered", "Face covered"),
            FailedReason::Blurred => ("blurred", "Face blurred, or moving too fast"),
            FailedReason::Framing => ("framing", "Face turned away, or not fully in the picture"),
            FailedReason::TooShort => ("too_short", "Video too short"),
            FailedReason::ChallengeNotFollowed => ("challenge_not_followed", "Challenge not followed"),
        };
        Self { status: ReplayStatus::Failed, reason, diagnostic: Some(diagnostic) }
    }

    /// The replay ends with ERROR.
    pub(super) fn error(error: ReplayError) -> Self {
        let (reason, diagnostic) = match error {
            ReplayError::Undecryptable => ("undecryptable", "The encrypted media does not open"),
            ReplayError::UnsupportedFormat => ("unsupported_format", "Format not supported"),
            ReplayError::UnsupportedCodec => ("unsupported_codec", "Codec not supported"),
            ReplayError::Malformed => ("malformed", "The video is broken"),
            ReplayError::TooLong => ("too_long", "Video too long"),
            ReplayError::TooLarge => ("too_large", "The frames have too many pixels"),
            ReplayError::TooExpensive => {
                ("too_expensive", "Decoding the video takes too much time or memory")
            }
            ReplayError::Lost => ("lost", "The uploaded media was lost"),
            ReplayError::NotInTime => ("not_in_time", "The video was not judged in time"),
            ReplayError::Internal => ("internal", "Internal error"),
        };
        Self { status: ReplayStatus::Error, reason, diagnostic: Some(diagnostic) }
    }

    /// The replay ends because nothing was uploaded in time.
    pub(super) fn timeout() -> Self {
        Self {
            status: ReplayStatus::Timeout,
            reason: "no_upload",
            diagnostic: Some("No video was uploaded in time"),
        }
    }

    /// The replay ends with ERROR, because web capture must add a face and the session cannot take another one.
    pub(super) fn no_room_for_face() -> Self {
        Self {
            status: ReplayStatus::Error,
            reason: "no_room_for_face",
            diagnostic: Some("The best image cannot be kept as a face of the session: it is full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::job::replay::Replayed;

    use super::*;

    fn of(verdict: Verdict) -> Judgement {
        let replayed = Replayed { verdict, best_image: None, image_storage: None, video_storage: None };
        Judgement::of(&Ok(JobResult::Replayed(Box::new(replayed)))).unwrap()
    }

    #[test]
    fn a_verdict_has_its_status_and_words() {
        let success = of(Verdict::Success);
        assert_eq!((success.status, success.diagnostic), (ReplayStatus::Success, None));
        let failed = of(Verdict::Failed(FailedReason::NoFace));
        assert_eq!((failed.status, failed.diagnostic), (ReplayStatus::Failed, Some("No face detected")));
        let error = of(Verdict::Error(ReplayError::UnsupportedCodec));
        assert_eq!((error.status, error.diagnostic), (ReplayStatus::Error, Some("Codec not supported")));
    }

    #[test]
    fn the_words_for_all_attacks_are_the_same() {
        let reasons = [
            SpoofReason::Presentation,
            SpoofReason::FlatMotion,
            SpoofReason::MovingBackground,
            SpoofReason::Still,
            SpoofReason::Frozen,
            SpoofReason::Loop,
            SpoofReason::Cut,
            SpoofReason::SecondPerson,
        ];
        for reason in reasons {
            let spoof = of(Verdict::Spoof(reason));
            assert_eq!(spoof.status, ReplayStatus::Spoof);
            assert_eq!(spoof.diagnostic, Some("Presentation attack detected"), "{reason:?}");
        }
    }

    #[test]
    fn what_no_worker_has_seen_is_tried_again_and_what_ends_workers_is_not() {
        for failure in [JobFailure::Expired { age_ms: 1 }, JobFailure::Unsupported, JobFailure::OtherKeys] {
            assert_eq!(Judgement::of(&Err(failure)), None);
        }
        let poison = Judgement::of(&Err(JobFailure::Poison { attempts: 2 })).unwrap();
        assert_eq!((poison.status, poison.reason), (ReplayStatus::Error, "poison"));
        let bad = Judgement::of(&Err(JobFailure::BadVideo(ReplayError::Malformed))).unwrap();
        assert_eq!((bad.status, bad.reason), (ReplayStatus::Error, "malformed"));
    }
}
