//! The pipeline that evaluation runs on each picture.

use std::path::Path;

/// The error of a coder.
pub type CoderError = Box<dyn std::error::Error + Send + Sync>;

/// A face as a coder describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The embedding, of any length but zero.
    pub embedding: Vec<f32>,
    /// The quality: above 100 is good, below 0 is useless.
    pub quality: i32,
    /// The measures that the quality was computed from, by name, each in its own unit.
    pub measures: Vec<(&'static str, f32)>,
}

/// Makes an embedding of a picture's central face. The programs implement it with the worker's pipeline.
pub trait Coder {
    /// The picture's face, or `None` where it shows none.
    ///
    /// # Errors
    /// The picture cannot be read, or the pipeline failed.
    fn code(&mut self, image: &Path) -> Result<Option<Sample>, CoderError>;
}
