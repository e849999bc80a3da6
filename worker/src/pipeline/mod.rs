//! From a picture to a face's embedding.
//!
//! A [`Pipeline`] belongs to one inference thread and owns its models: detection, landmarks, alignment, embedding,
//! and in between the question whether a detection is a face at all.

mod age;
mod candidate;
mod chip_model;
mod coder;
mod coding;
mod detector;
mod drawing;
mod embedder;
mod evidence;
mod examination;
#[cfg(test)]
mod examination_tests;
mod finder;
mod findings;
mod frame;
mod landmarks;
mod lazy;
mod liveness;
mod models;
mod motion;
mod normaliser;
mod quality;
mod rect;
#[cfg(test)]
mod tests;
mod times;

pub use coder::{Pipeline, PipelineSettings, search_eighths};
pub use coding::{AgedFace, Coded, CodedFace, CodingFault, CodingOptions};
pub use examination::{Examined, ExaminedPicture, ExaminingFault};
pub use frame::Turn;
pub use models::{Models, ModelsError};
pub use quality::Measures;
pub use times::StageTimes;
