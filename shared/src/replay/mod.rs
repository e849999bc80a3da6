//! Video replays: the formats on which a gateway, a worker and a capture client agree.
//!
//! A *replay* is a video that a device recorded after the gateway had set its parameters, and that a worker judges later.
//!
//! [`challenges`] is the function from a seed to the directions in which the head must turn. An upload consists of [`metadata`],
//! encrypted as a JWE ([`jwe`]) for the key of a certificate ([`certificate`], [`recipient`]), and of the video, encrypted by
//! [`media`].

pub mod certificate;
mod challenge;
mod json_object;
pub mod jwe;
mod kind;
pub mod media;
pub mod metadata;
pub mod recipient;

pub use self::challenge::{MAX_CHALLENGES, challenges};
pub use self::kind::LivenessType;
