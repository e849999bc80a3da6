//! Quality of a face for comparisons: named measures, and one number computed from them.
//!
//! The number predicts comparison failures. It relies mostly on the length of the embedding. The other measures give
//! the reason, and cover what does not change that length.

mod cover;
mod framing;
mod lower_half;
mod measures;
mod penalty;
mod sharpness;
mod tones;

pub(crate) use self::lower_half::{painted_grey, painted_over, similarity_of_painted};
pub use self::measures::Measures;
pub(crate) use self::penalty::quality;
