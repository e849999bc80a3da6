//! Converts graph models of TensorFlow.js to ONNX.
//!
//! A graph model is a JSON file (`model.json`: a frozen TensorFlow graph and a list of its weights) and a file with the
//! weights' values. TensorFlow's pictures are N x height x width x channels, those of ONNX N x channels x height x
//! width. The conversion transposes the weights, so the converted graph takes channels first and transposes nothing
//! when it runs.

mod builder;
mod convolution;
mod nodes;
mod operators;
mod shape;
mod topology;
mod weights;

use self::builder::Builder;
use self::topology::Document;
use super::error::ConversionError;
use crate::manifest::{Input, Output};

/// A graph model as published.
#[derive(Clone, Copy, Debug)]
pub struct TfjsModel<'a> {
    /// The JSON file.
    pub topology: &'a [u8],
    /// The values of all weights, in the order in which the JSON file lists them.
    pub weights: &'a [u8],
}

/// Converts a graph model to an ONNX file with a batch axis of any length. Nodes that do not contribute to the
/// manifest's outputs are left out. The conversion is deterministic to the byte.
///
/// # Errors
/// The JSON is not a graph model, the weights do not fit it, an operation is not supported, or input and outputs are
/// not those of the manifest.
pub fn import(model: TfjsModel<'_>, input: &Input, output: &Output) -> Result<Vec<u8>, ConversionError> {
    let document = Document::parse(model.topology)?;
    let constants = weights::read(&document, model.weights)?;
    let outputs = output.names();
    let nodes = document.order(&outputs)?;
    let mut builder = Builder::new(&nodes, &outputs, constants);
    for node in nodes {
        builder.add(node)?;
    }
    builder.finish(&input.name, &outputs)
}

#[cfg(test)]
mod tests;
