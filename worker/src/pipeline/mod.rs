//! Computes a face's embedding, quality, age and liveness from a picture.
//!
//! A [`Pipeline`] belongs to one inference thread and owns its models. The layers, each of which uses those before it:
//! - `geometry`: rectangles, rotations, landmarks, head pose;
//! - `models`: the networks, each with its crop and normalisation;
//! - `search`: finding faces, and rejecting detections that are none;
//! - `quality`: how well a face can be compared;
//! - `coding` and `liveness`: what callers ask for.

#[cfg(test)]
mod age_tests;
mod coding;
mod context;
mod face_pipeline;
mod fault;
mod geometry;
mod liveness;
mod models;
mod quality;
mod search;
mod segments;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod times;

pub use self::coding::{AgedFace, Coded, CodedFace, CodingOptions, FaceExtent};
pub use self::face_pipeline::Pipeline;
pub use self::fault::PipelineFault;
pub use self::geometry::Rotation;
pub(crate) use self::geometry::{Frame, FramedPicture, HeadPose, LANDMARK_COUNT, Landmarks};
#[cfg(test)]
pub(crate) use self::geometry::{HEAD, Rect};
#[cfg(test)]
pub(crate) use self::liveness::{EXTRA_HEAD_POINTS, attack};
pub use self::liveness::{Examined, ExaminedPicture, ExaminingFault};
pub(crate) use self::liveness::{FacePatch, Grey, HeadTurn, LogisticCurve, WarpMatch};
#[cfg(test)]
pub(crate) use self::models::{Detection, Equalisation};
pub(crate) use self::models::{HeadAngles, mean};
pub use self::models::{Models, ModelsError};
pub use self::quality::Measures;
pub(crate) use self::quality::quality;
pub use self::search::search_eighths;
pub(crate) use self::search::{Candidate, Embedded};
pub use self::segments::{Segment, Segments};
pub use self::settings::PipelineSettings;
pub use self::times::StageTimes;
