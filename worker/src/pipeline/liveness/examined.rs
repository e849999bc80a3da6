//! Results of an examination.

use faceline_shared::job::Subject;
use faceline_shared::job::examination::{self, Motion};

use crate::pipeline::fault::PipelineFault;

/// The result of an examination.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The live pictures, in the order given.
    pub live: Vec<ExaminedPicture>,
    /// The motion between two live pictures; `None` if it cannot be judged.
    pub motion: Option<Motion>,
    /// The photo; `None` if there is none.
    pub photo: Option<ExaminedPicture>,
}

/// The result for one picture of an examination.
#[derive(Clone, Debug)]
pub struct ExaminedPicture {
    /// The part that the caller receives.
    pub shown: examination::ExaminedPicture,
    /// The L2-normalised embedding; `None` unless the picture has one face.
    pub embedding: Option<Vec<f32>>,
    /// Log-odds of the live class from each passive liveness network; empty where the face was not judged.
    pub log_odds: Vec<f32>,
    /// Side of the widest square crop that the picture holds, in sides of the first face; `None` without a face.
    pub surroundings: Option<f32>,
}

/// Reason why an examination has no result.
#[derive(Debug, thiserror::Error)]
#[error("{subject:?}: {fault}")]
pub struct ExaminingFault {
    /// The picture at fault.
    pub subject: Subject,
    /// The fault of the picture, or of a model.
    pub fault: PipelineFault,
}
