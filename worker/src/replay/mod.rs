//! Judging a decoded clip: whether it shows a living person who is present, and which frame shows that person best.
//!
//! - `exports` writes its media for the service provider;
//! - `track`: the face through the clip, measured in a bounded number of frames;
//! - `active`: whether the head followed a challenge, with the parallax of a real head.

pub(crate) mod active;
pub(crate) mod exports;
pub(crate) mod track;

pub(crate) use self::track::{Track, TrackedFace, TrackedFrame};
