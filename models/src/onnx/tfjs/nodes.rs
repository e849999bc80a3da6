//! Parts of an ONNX graph.

use super::shape::Shape;
use crate::onnx::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, DimensionProto, FLOAT, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Name of the batch axis.
const BATCH: &str = "N";

/// A node that computes `min(max(input, low), high)`; its bounds become constants of the graph.
pub(super) fn clamp_node(
    initializers: &mut Vec<TensorProto>,
    input: String,
    output: &str,
    low: f32,
    high: f32,
) -> NodeProto {
    let node = |op: &str, input| NodeProto {
        input,
        name: Some(output.to_owned()),
        op_type: Some(op.to_owned()),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    if low == 0.0 && high == f32::INFINITY {
        return node("Relu", vec![input]);
    }
    // `Clip` takes an empty name as no bound.
    let mut end = |part: &str, bound: f32| {
        if bound.is_infinite() {
            return String::new();
        }
        let name = format!("{output}/{part}");
        initializers.push(TensorProto::of_f32(name.clone(), Vec::new(), &[bound]));
        name
    };
    let ends = [end("low", low), end("high", high)];
    node("Clip", std::iter::once(input).chain(ends).collect())
}

/// An attribute with one integer.
pub(super) fn integer(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value as i64),
        r#type: Some(ATTRIBUTE_INT),
        ..AttributeProto::default()
    }
}

/// An attribute with a list of integers.
pub(super) fn integers(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.iter().map(|value| *value as i64).collect(),
        r#type: Some(ATTRIBUTE_INTS),
        ..AttributeProto::default()
    }
}

/// An input or output of the graph, with an open batch axis.
pub(super) fn value_info(name: &str, shape: Shape) -> ValueInfoProto {
    let batch = DimensionProto { dim_param: Some(BATCH.to_owned()), ..DimensionProto::default() };
    let axis = |axis: usize| DimensionProto { dim_value: Some(axis as i64), ..DimensionProto::default() };
    let dim = std::iter::once(batch).chain(shape.axes().into_iter().map(axis)).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
