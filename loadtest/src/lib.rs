//! Parts of the load generator that the tests of the programs use as well: the reference capture client, which does what a
//! mobile app with a native SDK does, with a video file in place of a camera; open-loop load; the conservation oracle; faults; and the
//! simulation of autoscaling, with its reader of `ScaledObject`s and the algorithm of the HorizontalPodAutoscaler.

pub mod capture;
pub mod chaos;
pub mod load;
pub mod oracle;
mod plot;
pub mod scaling;
