//! The values of a graph model's weights.

use std::collections::HashMap;

use half::f16;

use super::topology::{Document, Weight};
use crate::onnx::error::ConversionError;

/// A constant of the graph, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    pub(super) values: Values,
}

/// The values of a constant, by element type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl Constant {
    /// The values if they are floats.
    pub(super) fn floats(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Floats(values) => Some(values),
            Values::Integers(_) => None,
        }
    }
}

/// Reads the file of weights. Returns the constants by name.
pub(super) fn read(
    document: &Document,
    mut file: &[u8],
) -> Result<HashMap<String, Constant>, ConversionError> {
    let mut constants = HashMap::new();
    for weight in document.weights_manifest.iter().flat_map(|group| &group.weights) {
        let constant = take(weight, &mut file)?;
        if constants.insert(weight.name.clone(), constant).is_some() {
            return Err(ConversionError::unsupported(format!("two weights are named `{}`", weight.name)));
        }
    }
    if !file.is_empty() {
        return Err(ConversionError::unsupported(format!("{} bytes follow the last weight", file.len())));
    }
    Ok(constants)
}

fn take(weight: &Weight, file: &mut &[u8]) -> Result<Constant, ConversionError> {
    let stored = weight.quantization.as_ref().map(|quantization| quantization.dtype.as_str());
    let kind = (weight.dtype.as_str(), stored);
    let size = match kind {
        ("float32", None) | ("int32", None) => 4,
        ("float32", Some("float16")) => 2,
        _ => {
            return Err(ConversionError::unsupported(format!(
                "weight `{}` is stored as {kind:?}",
                weight.name
            )));
        }
    };
    let length = weight.shape.iter().try_fold(size, |length: usize, axis| length.checked_mul(*axis));
    let (bytes, rest) = length.and_then(|length| file.split_at_checked(length)).ok_or_else(|| {
        ConversionError::unsupported(format!("the weights end before `{}` does", weight.name))
    })?;
    *file = rest;
    let words = || bytes.as_chunks::<4>().0.iter().copied();
    let values = match kind {
        (_, Some(_)) => {
            let halves = bytes.as_chunks::<2>().0.iter();
            Values::Floats(halves.map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
        }
        ("int32", None) => Values::Integers(words().map(|bytes| i32::from_le_bytes(bytes).into()).collect()),
        (_, None) => Values::Floats(words().map(f32::from_le_bytes).collect()),
    };
    Ok(Constant { dims: weight.shape.clone(), values })
}
