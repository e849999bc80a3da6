//! Errors of conversion.

/// Reasons why a file cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// The bytes are not an ONNX model.
    #[error("not an ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The bytes are not a graph model of TensorFlow.js.
    #[error("not a graph model: {0}")]
    Json(#[from] serde_json::Error),
    /// The file has fields that the conversion would lose.
    #[error("the ONNX file has fields that are not known here and would be lost")]
    UnknownFields,
    /// The conversion does not support the form of the graph.
    #[error("the graph cannot be converted: {0}")]
    Unsupported(String),
}

impl ConversionError {
    /// An error for an unsupported form of graph.
    pub(super) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }
}
