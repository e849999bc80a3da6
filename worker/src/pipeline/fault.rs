//! Faults because of which a pipeline has no result for a picture.

use crate::inference::InferenceError;
use crate::picture::PictureFault;

/// Reason why a picture's faces were not found, coded or judged.
#[derive(Debug, thiserror::Error)]
pub enum PipelineFault {
    /// The bytes cannot be decoded to a picture.
    #[error(transparent)]
    Picture(#[from] PictureFault),
    /// More than one face counts where one is expected.
    #[error("there are several faces in the picture")]
    SeveralFaces,
    /// A model failed; the picture is not at fault.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}
