//! Upright rectangles.

use crate::picture::Affine;

/// An upright rectangle in continuous coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

impl Rect {
    /// A rectangle from its upper left corner and its size.
    pub(crate) fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    /// The smallest rectangle that contains all points.
    pub(crate) fn around(points: &[[f32; 2]]) -> Self {
        let start = Self { left: f32::MAX, top: f32::MAX, right: f32::MIN, bottom: f32::MIN };
        points.iter().fold(start, |rect, &[x, y]| Self {
            left: rect.left.min(x),
            top: rect.top.min(y),
            right: rect.right.max(x),
            bottom: rect.bottom.max(y),
        })
    }

    /// A rectangle of this size about a centre.
    pub(crate) fn centred([x, y]: [f32; 2], width: f32, height: f32) -> Self {
        Self::new(x - width / 2.0, y - height / 2.0, width, height)
    }

    pub(crate) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub(crate) fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    pub(crate) fn centre(&self) -> [f32; 2] {
        [(self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0]
    }

    /// Multiplies both sides by `factor` and keeps the centre.
    pub(crate) fn scaled(&self, factor: f32) -> Self {
        Self::centred(self.centre(), self.width() * factor, self.height() * factor)
    }

    /// The square that has the same area and the same centre.
    pub(crate) fn squared(&self) -> Self {
        let side = self.area().sqrt();
        Self::centred(self.centre(), side, side)
    }

    /// Area of the intersection over area of the union, 0 to 1.
    pub(crate) fn intersection_over_union(&self, other: &Self) -> f32 {
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

    /// Maps the unit square onto this rectangle.
    pub(crate) fn unit_map(&self) -> Affine {
        Affine::scale(self.width(), self.height()).then(&Affine::shift(self.left, self.top))
    }
}
