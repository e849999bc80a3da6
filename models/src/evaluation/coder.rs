//! The pipeline that evaluation runs on each picture.

use std::path::Path;

/// Whatever made a coder fail.
pub type CoderError = Box<dyn std::error::Error + Send + Sync>;

/// What a coder makes of a face.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The embedding, of any length but zero.
    pub embedding: Vec<f32>,
    /// One number: above 100 good, negative useless.
    pub quality: i32,
    /// What the quality was made of, by name; each in its own unit.
    pub measures: Vec<(&'static str, f32)>,
}

/// Makes an embedding of a picture's central face. The product's own pipeline is plugged in by the program.
pub trait Coder {
    /// The face, or `None` where none is found.
    ///
    /// # Errors
    /// The picture cannot be read, or the pipeline failed.
    fn code(&mut self, image: &Path) -> Result<Option<Sample>, CoderError>;
}
