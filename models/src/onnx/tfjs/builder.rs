//! An ONNX graph that is built node by node.

use std::collections::HashMap;

use prost::Message;

use super::nodes::{clamp_node, value_info};
use super::shape::Shape;
use super::topology::Node;
use super::weights::Constant;
use crate::onnx::error::ConversionError;
use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};

/// Version of the file format, which ONNX Runtime 1.10 and later read.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPSET: i64 = 15;

/// The output of a TensorFlow node.
#[derive(Clone)]
pub(super) enum Value {
    Constant(Constant),
    /// A value that is computed when the graph runs.
    Computed(Shape),
}

/// A node of the ONNX graph.
pub(super) enum Step {
    Node(NodeProto),
    /// `min(max(x, low), high)`. It is not a node yet, because a following clamp may be merged into it.
    Clamp {
        input: String,
        output: String,
        low: f32,
        high: f32,
    },
}

/// Collects the nodes and constants of an ONNX graph.
pub(super) struct Builder {
    /// Constants from the file of weights that no node has used yet.
    pub(super) weights: HashMap<String, Constant>,
    pub(super) values: HashMap<String, Value>,
    /// Number of nodes and outputs that use each value.
    pub(super) uses: HashMap<String, usize>,
    pub(super) steps: Vec<Step>,
    initializers: Vec<TensorProto>,
    pub(super) input: Option<(String, Shape)>,
}

impl Builder {
    pub(super) fn new(nodes: &[&Node], outputs: &[&str], weights: HashMap<String, Constant>) -> Self {
        let mut uses: HashMap<String, usize> = HashMap::new();
        let inputs = nodes.iter().filter_map(|node| node.inputs().ok()).flatten();
        for name in inputs.chain(outputs.iter().copied()) {
            *uses.entry(name.to_owned()).or_default() += 1;
        }
        let (values, steps, initializers) = (HashMap::new(), Vec::new(), Vec::new());
        Self { weights, values, uses, steps, initializers, input: None }
    }

    /// The ONNX file.
    pub(super) fn finish(self, input: &str, outputs: &[&str]) -> Result<Vec<u8>, ConversionError> {
        let Some((name, shape)) = &self.input else {
            return Err(ConversionError::unsupported("the outputs do not depend on the input".to_owned()));
        };
        if name != input {
            return Err(ConversionError::unsupported(format!("the input is `{name}`, not `{input}`")));
        }
        let mut results = Vec::new();
        for output in outputs {
            match self.values.get(*output) {
                Some(Value::Computed(shape)) => results.push(value_info(output, *shape)),
                _ => return Err(ConversionError::unsupported(format!("output `{output}` is a constant"))),
            }
        }
        let mut graph = GraphProto {
            name: Some("main".to_owned()),
            input: vec![value_info(name, *shape)],
            output: results,
            initializer: self.initializers,
            ..GraphProto::default()
        };
        for step in self.steps {
            let node = match step {
                Step::Node(node) => node,
                Step::Clamp { input, output, low, high } => {
                    clamp_node(&mut graph.initializer, input, &output, low, high)
                }
            };
            graph.node.push(node);
        }
        let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) };
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("faceline-models".to_owned()),
            graph: Some(graph),
            opset_import: vec![opset.encode_to_vec()],
            ..ModelProto::default()
        };
        Ok(model.encode_to_vec())
    }

    pub(super) fn computed(&self, node: &Node, name: &str) -> Result<Shape, ConversionError> {
        match self.values.get(name) {
            Some(Value::Computed(shape)) => Ok(*shape),
            _ => Err(node.fault(&format!("takes the constant `{name}` where a computed value is expected"))),
        }
    }

    pub(super) fn floats(&self, node: &Node, name: &str) -> Result<(&[usize], &[f32]), ConversionError> {
        match self.values.get(name) {
            Some(Value::Constant(constant)) => constant.floats().map(|values| (&constant.dims[..], values)),
            _ => None,
        }
        .ok_or_else(|| node.fault(&format!("takes `{name}` where a constant of floats is expected")))
    }

    pub(super) fn push(
        &mut self,
        op: &str,
        inputs: Vec<String>,
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        self.steps.push(Step::Node(NodeProto {
            input: inputs,
            output: vec![output.to_owned()],
            name: Some(output.to_owned()),
            op_type: Some(op.to_owned()),
            attribute: attributes,
            ..NodeProto::default()
        }));
    }

    /// Adds a constant of the ONNX graph and returns its name.
    pub(super) fn initializer(&mut self, node: &str, part: &str, dims: &[usize], values: &[f32]) -> String {
        let name = format!("{node}/{part}");
        let dims = dims.iter().map(|axis| *axis as i64).collect();
        self.initializers.push(TensorProto::of_f32(name.clone(), dims, values));
        name
    }
}
