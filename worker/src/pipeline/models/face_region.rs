//! A face in a picture, for the models that cut it out.

use crate::picture::Picture;
use crate::pipeline::geometry::{Frame, Landmarks, Rect};

/// Position of a face in a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaceRegion<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) frame: &'a Frame,
    /// The detector's box, in the frame's coordinates.
    pub(crate) area: &'a Rect,
    /// In the frame's coordinates.
    pub(crate) landmarks: &'a Landmarks,
}

impl FaceRegion<'_> {
    /// Eyes, nose tip and corners of the mouth in the picture as received, after its EXIF orientation.
    pub(crate) fn five(&self) -> [[f32; 2]; 5] {
        self.landmarks.five().map(|point| self.frame.to_upright.apply(point))
    }
}
