//! The reference capture client, as a library: what a mobile app with a native SDK does, with a video file in place of a
//! camera. And the simulation of autoscaling, with its parts that the tests of the programs use as well: the reader of
//! `ScaledObject`s and the algorithm of the HorizontalPodAutoscaler.

pub mod capture;
pub mod chaos;
pub mod scaling;
