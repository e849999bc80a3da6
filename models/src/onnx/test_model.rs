//! Small graphs for tests.

use prost::Message;

use super::proto::{
    DimensionProto, GraphProto, ModelProto, NodeProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use super::proto::{FLOAT, TensorProto};

pub(super) fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| DimensionProto { dim_value: Some(*dim), ..DimensionProto::default() })
        .collect();
    let tensor_type = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: Some(op.to_owned()),
        ..NodeProto::default()
    }
}

pub(super) fn graph(dims: &[i64], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> GraphProto {
    GraphProto {
        node: nodes,
        initializer: constants,
        input: vec![value("input", dims)],
        output: vec![value("output", dims)],
        ..GraphProto::default()
    }
}

pub(super) fn file(graph: GraphProto) -> Vec<u8> {
    ModelProto { ir_version: Some(7), graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}

/// A file whose output is its input.
pub(crate) fn identity(dims: &[i64]) -> Vec<u8> {
    file(graph(dims, vec![node("Identity", &["input"], "output")], Vec::new()))
}

/// Whether the leading axis of the input is a parameter.
pub(crate) fn has_open_batch(file: &[u8]) -> bool {
    let graph = ModelProto::decode(file).unwrap().graph.unwrap();
    let input = graph.input[0].r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
    input.dim[0].dim_param.is_some()
}
