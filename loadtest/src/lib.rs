//! The reference capture client, as a library: what a mobile app with a native SDK does, with a video file in place of a camera.

pub mod capture;
