//! Coordinates: rectangles, rotated pictures, the points of a face, and the pose of its head.

mod frame;
mod head_pose;
mod landmarks;
mod rect;

pub use self::frame::Rotation;
pub(crate) use self::frame::{Frame, FramedPicture};
pub(crate) use self::head_pose::{HEAD, HeadPoint, HeadPose};
pub(crate) use self::landmarks::{ANCHORS_IN_BOX, AVERAGE_BOX, BOX_FACTOR, LANDMARK_COUNT, Landmarks};
pub(crate) use self::rect::Rect;
