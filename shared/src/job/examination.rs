//! The examination of live pictures: its task and its result.

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::face::Eyes;
use crate::score::Far;

/// A direction in which the nose moves in the picture, after its EXIF orientation and the rotation by
/// [`ExaminedPicture::rotated`] were applied.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Direction {
    /// Towards the upper edge.
    Up,
    /// Towards the lower edge.
    Down,
    /// Towards the left edge.
    Left,
    /// Towards the right edge.
    Right,
}

/// A property of a picture or its first face that a worker checks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Check {
    /// The picture was scaled down before the analysis.
    ImageSize,
    /// The face reaches beyond the picture.
    FaceCropped,
    /// The face fills the picture. Passive liveness needs some surroundings of the face.
    FaceTooClose,
    /// The face nearly touches the picture's border.
    FaceCloseToBorder,
    /// The face has too few pixels, or covers too small a part of the picture.
    FaceTooSmall,
    /// The head is turned away.
    FaceTurnedAway,
    /// Something covers the face.
    FaceCovered,
    /// The face is too dark, too bright, or has no contrast.
    FaceExposure,
    /// The face is blurred.
    FaceBlurred,
}

impl Check {
    /// Whether a face with this finding is rejected, so its liveness is not judged.
    #[must_use]
    pub fn rejects(self) -> bool {
        self != Self::ImageSize
    }
}

/// A failed check.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The score that the check reached, from 0 (worst) to 1.
    pub score: f32,
}

/// A face in an examined picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExaminedFace {
    /// The eyes, in pixels of the received picture after its EXIF orientation and the rotation by
    /// [`ExaminedPicture::rotated`] were applied.
    pub eyes: Eyes,
    /// Passive liveness, in (0, 1]; `None` if it was not requested or the face is rejected.
    pub liveness: Option<f32>,
}

/// An examined picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExaminedPicture {
    /// Clockwise rotation that makes the face upright, in degrees: 0, 90, 180 or 270.
    pub rotated: u16,
    /// The faces that are large enough to count, the largest first.
    pub faces: Vec<ExaminedFace>,
    /// Quality of the first face, in (0, 1]; 0 if there is no face.
    pub quality: f32,
    /// The failed checks of the picture and its first face, in the order of [`Check`].
    pub findings: Vec<Finding>,
}

impl ExaminedPicture {
    /// The first finding that rejects the first face; `None` if nothing does.
    #[must_use]
    pub fn rejection(&self) -> Option<Check> {
        self.findings.iter().map(|finding| finding.check).find(|check| check.rejects())
    }
}

/// The motion of a face from the first live picture to the second.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Motion {
    /// Degree to which the face moved as only a three-dimensional head does, in (0, 1]; comparable with
    /// [`SecurityLevel::threshold`](crate::liveness::SecurityLevel::threshold).
    pub score: f32,
    /// Direction of the nose's motion in degrees, counter-clockwise from the picture's right, in (0, 360]; `None` if it
    /// hardly moved.
    pub direction: Option<f32>,
    /// Whether the face moved in all directions of the challenge; true without a challenge.
    pub follows: bool,
}

/// The task of examining live pictures. `P` is the representation of a picture.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Examination<P> {
    /// One or two live pictures.
    pub live: Vec<P>,
    /// A photo, such as one of an identity document, that is compared with the live pictures. A much smaller second
    /// portrait on it is ignored.
    pub photo: Option<P>,
    /// Whether liveness is requested too.
    pub liveness: bool,
    /// The challenge: directions in which the nose must move from the first live picture to the second.
    pub challenge: Vec<Direction>,
}

impl<P> Examination<P> {
    /// All pictures, the live ones first.
    pub fn pictures(&self) -> impl Iterator<Item = &P> {
        self.live.iter().chain(&self.photo)
    }

    /// Returns the examination with every picture replaced by the result of `carry`.
    pub(super) fn map<Q>(self, mut carry: impl FnMut(Subject, P) -> Q) -> Examination<Q> {
        let Self { live, photo, liveness, challenge } = self;
        let subject = |index: usize| Subject::Live(u8::try_from(index).unwrap_or(u8::MAX));
        Examination {
            live: live
                .into_iter()
                .enumerate()
                .map(|(index, picture)| carry(subject(index), picture))
                .collect(),
            photo: photo.map(|picture| carry(Subject::Photo, picture)),
            liveness,
            challenge,
        }
    }
}

impl<F, Q, E> Examination<F>
where
    F: Future<Output = Result<Q, E>>,
{
    /// Awaits the pictures one after another.
    pub(super) async fn resolve(self) -> Result<Examination<Q>, E> {
        let Self { live: waiting, photo, liveness, challenge } = self;
        let mut live = Vec::with_capacity(waiting.len());
        for picture in waiting {
            live.push(picture.await?);
        }
        let photo = match photo {
            Some(picture) => Some(picture.await?),
            None => None,
        };
        Ok(Examination { live, photo, liveness, challenge })
    }
}

/// The result of an examination.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Examined {
    /// The live pictures, in the order of the task.
    pub live: Vec<ExaminedPicture>,
    /// The motion between two live pictures; `None` unless liveness was requested and each has exactly one face, which
    /// is not rejected.
    pub motion: Option<Motion>,
    /// Whether two live pictures show the same person; `None` unless each has exactly one face.
    pub same_person: Option<bool>,
    /// The photo; `None` if the task has none.
    pub photo: Option<ExaminedPicture>,
    /// The false acceptance rate at the score between the live pictures and the photo: how often two different people
    /// reach at least this score. `None` unless each has exactly one face.
    pub verification: Option<Far>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_was_only_scaled_down_is_judged() {
        let finding = |check| Finding { check, score: 0.5 };
        let picture = |checks: &[Check]| ExaminedPicture {
            rotated: 0,
            faces: Vec::new(),
            quality: 0.5,
            findings: checks.iter().copied().map(finding).collect(),
        };
        assert_eq!(picture(&[Check::ImageSize]).rejection(), None);
        assert_eq!(picture(&[Check::ImageSize, Check::FaceBlurred]).rejection(), Some(Check::FaceBlurred));
    }
}
