//! The examination of live pictures: what is asked, and what a worker finds.

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::face::Eyes;
use crate::score::Far;

/// Where the nose moves in the picture, after its EXIF orientation and turned as [`ExaminedPicture::rotated`] says.
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

/// What is wrong with a picture or its face.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Check {
    /// The picture was scaled down before it was looked at.
    ImageSize,
    /// The face reaches beyond the picture.
    FaceCropped,
    /// The face fills the picture, so that there is nothing about it to judge by.
    FaceTooClose,
    /// The face nearly touches the picture's border.
    FaceCloseToBorder,
    /// The face has too few pixels, or is too small a part of the picture.
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
    /// Whether a face of which this is found is not judged.
    #[must_use]
    pub fn rejects(self) -> bool {
        self != Self::ImageSize
    }
}

/// Something that was found wanting.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub check: Check,
    /// How good it is nevertheless, 0 to 1.
    pub score: f32,
}

/// A face in a picture that was examined.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExaminedFace {
    /// In pixels of the picture as received, after its EXIF orientation and turned clockwise by
    /// [`ExaminedPicture::rotated`].
    pub eyes: Eyes,
    /// Passive liveness, above 0 to 1; `None` where it was not asked for, or the face cannot be judged.
    pub liveness: Option<f32>,
}

/// A picture that was examined.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExaminedPicture {
    /// Degrees clockwise by which the picture is to be turned for the face to stand upright: 0, 90, 180 or 270.
    pub rotated: u16,
    /// All faces that count, the largest first.
    pub faces: Vec<ExaminedFace>,
    /// Of the first face, above 0 to 1; 0 where nobody is.
    pub quality: f32,
    /// What is wrong with the picture and its first face, in the order of [`Check`].
    pub findings: Vec<Finding>,
}

impl ExaminedPicture {
    /// Why the first face cannot be judged, the most telling first; `None` where it can, or nobody is there.
    #[must_use]
    pub fn rejection(&self) -> Option<Check> {
        self.findings.iter().map(|finding| finding.check).find(|check| check.rejects())
    }
}

/// How a face moved from one picture to the next.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Motion {
    /// How much it moved as only a head does, above 0 to 1; on the scale of [`SecurityLevel::threshold`](crate::liveness::SecurityLevel::threshold).
    pub score: f32,
    /// Where the nose moved: degrees, counter-clockwise from the picture's right, above 0 to 360; `None` where it did not
    /// move to speak of.
    pub direction: Option<f32>,
    /// Whether it moved in all directions that were asked for; true where none was.
    pub follows: bool,
}

/// What is asked about live pictures. `P` is a picture, as whoever holds it has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Examination<P> {
    /// One or two.
    pub live: Vec<P>,
    /// Whose person is to be compared with the live ones; its largest portrait counts.
    pub photo: Option<P>,
    /// Whether the live pictures' liveness is asked for, too.
    pub liveness: bool,
    /// From the first live picture to the second the nose is to move in all of these directions.
    pub challenge: Vec<Direction>,
}

impl<P> Examination<P> {
    /// Its pictures, the live ones first.
    pub fn pictures(&self) -> impl Iterator<Item = &P> {
        self.live.iter().chain(&self.photo)
    }

    /// The same examination with its pictures carried in another way.
    pub(super) fn map<Q>(self, mut carry: impl FnMut(Subject, P) -> Q) -> Examination<Q> {
        let Self { live, photo, liveness, challenge } = self;
        let place = |index: usize| Subject::Live(u8::try_from(index).unwrap_or(u8::MAX));
        Examination {
            live: live.into_iter().enumerate().map(|(index, picture)| carry(place(index), picture)).collect(),
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
    /// Awaits its pictures, one after another.
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

/// What a worker finds in the pictures of one examination.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Examined {
    /// The live pictures, in the order given.
    pub live: Vec<ExaminedPicture>,
    /// Between two live pictures; `None` unless liveness was asked for and each has one face that can be judged.
    pub motion: Option<Motion>,
    /// Whether two live pictures show the same person; `None` unless each has one face.
    pub same_person: Option<bool>,
    /// The photo, where there is one.
    pub photo: Option<ExaminedPicture>,
    /// How often two different people look as much alike as those in the live pictures and in the photo; `None` unless
    /// each has one face.
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
