//! Upright rectangles.

use crate::picture::Affine;

/// An upright rectangle in continuous coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Rect {
    pub(super) fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    pub(super) fn around(points: &[[f32; 2]]) -> Self {
        let start = Self { left: f32::MAX, top: f32::MAX, right: f32::MIN, bottom: f32::MIN };
        points.iter().fold(start, |rect, &[x, y]| Self {
            left: rect.left.min(x),
            top: rect.top.min(y),
            right: rect.right.max(x),
            bottom: rect.bottom.max(y),
        })
    }

    pub(super) fn centred([x, y]: [f32; 2], width: f32, height: f32) -> Self {
        Self::new(x - width / 2.0, y - height / 2.0, width, height)
    }

    pub(super) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub(super) fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    pub(super) fn centre(&self) -> [f32; 2] {
        [(self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0]
    }

    /// Both sides times `factor`, about the centre.
    pub(super) fn scaled(&self, factor: f32) -> Self {
        Self::centred(self.centre(), self.width() * factor, self.height() * factor)
    }

    /// The square of the same area about the same centre.
    pub(super) fn squared(&self) -> Self {
        let side = self.area().sqrt();
        Self::centred(self.centre(), side, side)
    }

    /// Intersection over union.
    pub(super) fn overlap(&self, other: &Self) -> f32 {
        let common = Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        };
        let shared = if common.width() > 0.0 && common.height() > 0.0 { common.area() } else { 0.0 };
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The map that brings the unit square onto this rectangle.
    pub(super) fn unit_map(&self) -> Affine {
        Affine::scale(self.width(), self.height()).then(&Affine::shift(self.left, self.top))
    }
}
