//! How well a face can be used: measures with names, and one number from them.
//!
//! The number predicts trouble in comparison. Most of what it knows, it knows from the embedding's length; the other
//! measures say why, and guard against what makes no difference to that length.

mod cover;
mod framing;
mod measures;
mod penalty;
mod pose;
mod sharpness;
mod tones;

pub use measures::Measures;
pub(super) use penalty::quality;
pub(super) use pose::{HEAD, HeadPoint, HeadPose};
