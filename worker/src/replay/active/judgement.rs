//! The outcome of active liveness.

use faceline_shared::job::replay::{FailedReason, SpoofReason};

/// Whether the head followed the challenge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ActiveJudgement {
    /// It did, as a real head moves.
    Followed {
        /// Above the level's [`threshold`](faceline_shared::liveness::SecurityLevel::threshold), at most 1.
        score: f32,
    },
    /// It did not.
    NotFollowed(Deviation),
    /// The face moves as a flat picture does.
    Flat(FlatMotion),
}

/// Deviation of the motion from the challenge. Challenges are counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Deviation {
    /// The person never looks at the camera for a moment.
    #[error("no neutral pose")]
    NoNeutralPose,
    /// The face is not measurable for too long.
    #[error("the face was lost")]
    FaceLost,
    /// The device's times are not in order, not of these challenges, or not within the clip.
    #[error("the times of the challenges are not plausible")]
    Events,
    /// The head did not turn for this challenge.
    #[error("no turn for challenge {0}")]
    Missing(usize),
    /// The head turned elsewhere instead.
    #[error("a turn elsewhere instead of challenge {0}")]
    WrongTurn(usize),
    /// The head turned at a wrong time.
    #[error("not in the time of challenge {0}")]
    Untimely(usize),
}

impl Deviation {
    /// The reason that callers see.
    pub(crate) fn reason(self) -> FailedReason {
        match self {
            Self::FaceLost => FailedReason::FaceLost,
            _ => FailedReason::ChallengeNotFollowed,
        }
    }
}

/// Evidence of a flat picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FlatMotion {
    /// A turn shows no depth: a sheet of paper can make it.
    #[error("a turn without depth")]
    NoDepth,
    /// The face is squeezed and bent as a photo on a sheet of paper is.
    #[error("the face is tilted or bent like a sheet")]
    WarpedPhoto,
    /// The face is the same picture all the time.
    #[error("the face never changes")]
    Still,
}

impl FlatMotion {
    /// The reason that callers see.
    pub(crate) fn reason(self) -> SpoofReason {
        match self {
            Self::NoDepth | Self::WarpedPhoto => SpoofReason::FlatMotion,
            Self::Still => SpoofReason::Still,
        }
    }
}
