//! Rewriting of ONNX graphs, and the proof that a rewritten graph computes what the original does.

mod dynamic_batch;
mod negligible;
mod prelu;
mod proof;
mod proto;
mod tensor;
#[cfg(test)]
pub(crate) mod test_model;

use prost::Message;

pub use self::proof::{GraphRunner, Proof, ProofError, RunnerError, Tensor, conversion_proof};
use self::proto::ModelProto;
use crate::manifest::Conversion;

/// Why a file cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// The bytes are not an ONNX model.
    #[error("not an ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The file says something that would be lost.
    #[error("the ONNX file has fields that are not known here and would be lost")]
    UnknownFields,
    /// The graph has a form that the conversion was not made for.
    #[error("the graph cannot be converted: {0}")]
    Unsupported(String),
}

/// Applies conversions in order. The same bytes give the same bytes.
///
/// # Errors
/// Not an ONNX file, or a graph that a conversion was not made for.
pub fn convert(file: &[u8], conversions: &[Conversion]) -> Result<Vec<u8>, ConversionError> {
    let mut model = ModelProto::decode(file)?;
    if model.encoded_len() != file.len() {
        return Err(ConversionError::UnknownFields);
    }
    let graph = model
        .graph
        .as_mut()
        .ok_or_else(|| ConversionError::Unsupported("no graph".to_owned()))?;
    for conversion in conversions {
        match conversion {
            Conversion::DynamicBatch => dynamic_batch::apply(graph)?,
            Conversion::PreluToMax => prelu::to_max(graph)?,
            Conversion::PreluToConv => prelu::to_conv(graph)?,
            Conversion::FlushNegligible => negligible::flush(graph),
        }
    }
    Ok(model.encode_to_vec())
}
