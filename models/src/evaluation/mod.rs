//! Error rates of verification over a folder of labelled pictures (ISO/IEC 19795-1: FMR and FNMR), errors of estimated
//! ages, and of telling attacks from living people (ISO/IEC 30107-3).

mod age_errors;
mod age_index;
mod attack_errors;
mod attack_index;
mod balanced;
mod bootstrap;
mod comparison;
mod discard;
mod fold;
mod folder;
mod histogram;
mod labelled;
pub(crate) mod random;
mod reaching;

use std::path::Path;

pub use self::age_errors::{
    AGE_BANDS, AGE_THRESHOLDS, AgeErrors, AgePair, AgeThreshold, MIDDLE_AGES, age_correlation,
};
pub use self::age_index::{AgeIndex, AgeIndexError};
pub use self::attack_errors::{AttackErrors, Responses};
pub use self::attack_index::{AttackIndexError, Presentation, presentations};
pub use self::balanced::{Accuracy, balanced_accuracy};
pub use self::bootstrap::{Draws, Interval};
pub use self::comparison::{Comparison, Genuine, GenuinePairs};
pub use self::discard::{DiscardCurve, Order};
pub use self::fold::{Fold, NoFold};
pub use self::folder::{Coded, EvaluationError, Folder};
pub use self::histogram::Histogram;
pub use self::labelled::{Impostor, Labelled, LabelledError};
pub use self::reaching::Reaching;

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
