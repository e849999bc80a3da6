//! Video replays: what a gateway, a worker and a capture client agree on.
//!
//! A *replay* is a video that a device recorded after the gateway had set its parameters, and that a worker judges later.

mod challenge;
mod kind;

pub use self::challenge::{MAX_CHALLENGES, challenges};
pub use self::kind::LivenessType;
