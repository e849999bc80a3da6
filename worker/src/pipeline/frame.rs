//! A picture, turned so that its faces may stand upright.

use crate::picture::{Affine, Picture};

/// Quarter turns, by the degrees that the picture is turned clockwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Turn {
    /// Not at all.
    #[default]
    None,
    /// 90 degrees clockwise.
    Right,
    /// Upside down.
    Half,
    /// 270 degrees clockwise.
    Left,
}

impl Turn {
    /// The turns besides none, the frequent ones first.
    pub(super) const OTHERS: [Self; 3] = [Self::Right, Self::Left, Self::Half];

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

/// The coordinates of a turned picture, in received pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) turn: Turn,
    pub(super) width: f32,
    pub(super) height: f32,
    /// From here to the picture as received, after its EXIF orientation.
    pub(super) to_upright: Affine,
}

impl Frame {
    pub(super) fn new(picture: &Picture, turn: Turn) -> Self {
        let (width, height) = picture.size();
        let (w, h) = (width as f32, height as f32);
        let map = |a, b, c, d, e, f| Affine { a, b, c, d, e, f };
        let (width, height, to_upright) = match turn {
            Turn::None => (w, h, Affine::IDENTITY),
            Turn::Right => (h, w, map(0.0, 1.0, 0.0, -1.0, 0.0, h)),
            Turn::Half => (w, h, map(-1.0, 0.0, w, 0.0, -1.0, h)),
            Turn::Left => (h, w, map(0.0, -1.0, w, 1.0, 0.0, 0.0)),
        };
        Self { turn, width, height, to_upright }
    }
}
