//! The parts of the load generator that the tests of the programs use as well: the reference capture client, open-loop
//! load, the conservation oracle, faults under load, and the simulation of autoscaling.
//!
//! The capture client does what a mobile app with a native SDK does, with a video file in place of a camera. The
//! simulation includes a reader of `ScaledObject`s and the algorithm of the HorizontalPodAutoscaler.

pub mod capture;
pub mod chaos;
pub mod load;
pub mod oracle;
mod plot;
pub mod scaling;
