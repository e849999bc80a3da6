//! Coordinates of a picture that is rotated until its faces stand upright.

use crate::picture::{Affine, Picture};

/// Rotation of a picture, in quarters of a circle.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// The picture stays as it is.
    #[default]
    None,
    /// 90 degrees clockwise.
    Right,
    /// 180 degrees.
    Half,
    /// 270 degrees clockwise.
    Left,
}

impl Rotation {
    /// All rotations except [`Rotation::None`], the frequent ones first.
    pub(crate) const OTHERS: [Self; 3] = [Self::Right, Self::Left, Self::Half];

    /// Degrees clockwise: 0, 90, 180 or 270.
    #[must_use]
    pub fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Half => 180,
            Self::Left => 270,
        }
    }
}

/// The coordinate system of a rotated picture, in received pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) rotation: Rotation,
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// Maps a point of the frame to the picture as received, after its EXIF orientation.
    pub(crate) to_upright: Affine,
}

impl Frame {
    pub(crate) fn new(picture: &Picture, rotation: Rotation) -> Self {
        let (width, height) = picture.size();
        let (w, h) = (width as f32, height as f32);
        let map = |a, b, c, d, e, f| Affine { a, b, c, d, e, f };
        let (width, height, to_upright) = match rotation {
            Rotation::None => (w, h, Affine::IDENTITY),
            Rotation::Right => (h, w, map(0.0, 1.0, 0.0, -1.0, 0.0, h)),
            Rotation::Half => (w, h, map(-1.0, 0.0, w, 0.0, -1.0, h)),
            Rotation::Left => (h, w, map(0.0, -1.0, w, 1.0, 0.0, 0.0)),
        };
        Self { rotation, width, height, to_upright }
    }
}

/// A picture together with the frame in whose coordinates its faces are given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramedPicture<'p> {
    pub(crate) picture: &'p Picture,
    pub(crate) frame: Frame,
}

impl<'p> FramedPicture<'p> {
    pub(crate) fn new(picture: &'p Picture, rotation: Rotation) -> Self {
        Self { picture, frame: Frame::new(picture, rotation) }
    }
}
