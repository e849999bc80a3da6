//! Why a picture's faces cannot be found, coded or judged.

use crate::inference::InferenceError;
use crate::picture::PictureFault;

/// Why a picture was not coded.
#[derive(Debug, thiserror::Error)]
pub enum CodingFault {
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
