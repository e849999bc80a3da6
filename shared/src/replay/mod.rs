//! Video replays: what a gateway, a worker and a capture client agree on.
//!
//! A *replay* is a video that a device recorded after the gateway had set its parameters, and that a worker judges later.
//!
//! [`media`] is the encryption of the video.

mod challenge;
mod kind;
pub mod media;

pub use self::challenge::{MAX_CHALLENGES, challenges};
pub use self::kind::LivenessType;
