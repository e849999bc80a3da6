//! Conversion of ONNX graphs, and the proof that a converted graph computes what the original does.

mod convert;
mod dynamic_batch;
mod error;
mod fit_channels;
mod half_size;
mod negligible;
mod prelu;
mod proof;
mod proto;
mod reference;
mod tensor;
#[cfg(test)]
pub(crate) mod test_model;
mod tfjs;

pub use self::convert::convert;
pub use self::error::ConversionError;
pub use self::half_size::at_half_size;
pub use self::proof::{GraphRunner, Proof, ProofError, RunnerError, Tensor, conversion_proof};
pub use self::reference::{Reference, Square};
pub use self::tfjs::{TfjsModel, import};
