//! Applies the conversions that the manifest lists for a model.

use prost::Message;

use super::error::ConversionError;
use super::proto::ModelProto;
use super::{dynamic_batch, fit_channels, negligible, prelu};
use crate::manifest::Conversion;

/// Applies conversions in order. The result is deterministic to the byte.
///
/// # Errors
/// The bytes are no ONNX file, or a conversion does not support the graph.
pub fn convert(file: &[u8], conversions: &[Conversion]) -> Result<Vec<u8>, ConversionError> {
    let mut model = ModelProto::decode(file)?;
    if model.encoded_len() != file.len() {
        return Err(ConversionError::UnknownFields);
    }
    let graph = model.graph.as_mut().ok_or_else(|| ConversionError::unsupported("no graph"))?;
    for conversion in conversions {
        match conversion {
            Conversion::DynamicBatch => dynamic_batch::apply(graph)?,
            Conversion::PreluToMax => prelu::to_max(graph)?,
            Conversion::PreluToConv => prelu::to_conv(graph)?,
            Conversion::FlushNegligible => negligible::flush(graph),
            Conversion::FitChannels => fit_channels::apply(graph),
        }
    }
    Ok(model.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
    use super::super::test_model;
    use super::*;

    proptest! {
        #[test]
        fn a_file_survives_byte_for_byte(
            dims in prop::collection::vec(any::<i64>(), 0..4),
            floats in prop::collection::vec(any::<f32>(), 0..8),
            ints in prop::collection::vec(any::<i64>(), 0..8),
            raw in any::<Option<Vec<u8>>>(),
            text in ".{0,12}",
            opaque in prop::collection::vec(any::<Vec<u8>>(), 0..3),
            i in any::<Option<i64>>(),
        ) {
            let attribute = AttributeProto {
                name: Some(text.clone()), i, ints: ints.clone(), floats: floats.clone(), graphs: opaque.clone(),
                ..AttributeProto::default()
            };
            let tensor = TensorProto {
                dims, float_data: floats, int64_data: ints, raw_data: raw, external_data: opaque.clone(),
                ..TensorProto::default()
            };
            let node = NodeProto { op_type: Some(text), attribute: vec![attribute], ..NodeProto::default() };
            let graph = GraphProto { node: vec![node], initializer: vec![tensor], ..GraphProto::default() };
            let file = ModelProto { graph: Some(graph), opset_import: opaque, ..ModelProto::default() };
            let bytes = file.encode_to_vec();
            prop_assert_eq!(convert(&bytes, &[]).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_are_converted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let all = [Conversion::DynamicBatch, Conversion::FitChannels, Conversion::PreluToConv];
            let _ = convert(&bytes, &all);
        }
    }

    #[test]
    fn a_field_that_would_be_lost_is_refused() {
        let mut file = test_model::identity(&[1, 3, 2, 2]);
        assert_eq!(convert(&file, &[]).unwrap(), file);
        // Field 100, a varint.
        file.extend([0xa0, 0x06, 0x01]);
        assert!(matches!(convert(&file, &[]), Err(ConversionError::UnknownFields)));
        assert!(matches!(convert(b"\xff", &[]), Err(ConversionError::Decode(_))));
        assert!(matches!(convert(b"", &[]), Err(ConversionError::Unsupported(_))));
    }
}
