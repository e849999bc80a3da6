//! An ONNX graph, built node by node.

use std::collections::HashMap;

use prost::Message;

use super::shape::{Shape, Window};
use super::topology::Node;
use super::unsupported;
use super::weights::{Constant, Values};
use crate::onnx::ConversionError;
use crate::onnx::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, DimensionProto, FLOAT, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Of the format; ONNX Runtime 1.10 and all later ones read it.
const IR_VERSION: i64 = 8;
/// Of the operators.
const OPSET: i64 = 15;
/// Name of the batch axis.
const BATCH: &str = "N";

/// What a node of the graph gives.
#[derive(Clone)]
enum Value {
    Constant(Constant),
    /// Computed when the graph runs.
    Computed(Shape),
}

/// A node of the ONNX graph.
enum Step {
    Node(NodeProto),
    /// `min(max(x, low), high)`. Kept apart, since a chain of them is one.
    Clamp {
        input: String,
        output: String,
        low: f32,
        high: f32,
    },
}

/// Collects the nodes and constants of an ONNX graph.
pub(super) struct Builder {
    /// Of the weights' file.
    weights: HashMap<String, Constant>,
    values: HashMap<String, Value>,
    /// How many nodes or outputs need a value.
    uses: HashMap<String, usize>,
    steps: Vec<Step>,
    initializers: Vec<TensorProto>,
    input: Option<(String, Shape)>,
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

    /// Adds a node whose inputs were added before.
    pub(super) fn add(&mut self, node: &Node) -> Result<(), ConversionError> {
        let inputs = node.inputs()?;
        let value = match (node.op.as_str(), inputs.as_slice()) {
            ("Placeholder", []) => self.placeholder(node)?,
            ("Const", []) => {
                let constant = self.weights.remove(&node.name);
                Value::Constant(constant.ok_or_else(|| node.fault("has no weight"))?)
            }
            ("Conv2D", &[x, kernel]) => self.convolution(node, x, kernel, false)?,
            ("DepthwiseConv2dNative", &[x, kernel]) => self.convolution(node, x, kernel, true)?,
            ("Add" | "AddV2" | "BiasAdd", &[a, b]) => self.arithmetic(node, "Add", a, b)?,
            ("Mul", &[a, b]) => self.arithmetic(node, "Mul", a, b)?,
            ("Relu", &[x]) => self.clamp(node, x, 0.0, f32::INFINITY)?,
            ("Relu6", &[x]) => self.clamp(node, x, 0.0, 6.0)?,
            ("Minimum", &[a, b]) => {
                let (x, high) = self.bound(node, a, b)?;
                self.clamp(node, x, f32::NEG_INFINITY, high)?
            }
            ("Maximum", &[a, b]) => {
                let (x, low) = self.bound(node, a, b)?;
                self.clamp(node, x, low, f32::INFINITY)?
            }
            ("Mean", &[x, axes]) => self.mean(node, x, axes)?,
            ("MatMul", &[x, kernel]) => self.product(node, x, kernel, None)?,
            ("_FusedMatMul", &[x, kernel]) => self.product(node, x, kernel, None)?,
            ("_FusedMatMul", &[x, kernel, bias]) => self.product(node, x, kernel, Some(bias))?,
            ("Softmax", &[x]) => self.softmax(node, x)?,
            ("Sigmoid", &[x]) => self.plain(node, "Sigmoid", x)?,
            ("Identity", &[x]) => self.plain(node, "Identity", x)?,
            (_, inputs) => {
                return Err(node.fault(&format!("with {} inputs is not known here", inputs.len())));
            }
        };
        self.values.insert(node.name.clone(), value);
        Ok(())
    }

    /// The ONNX file.
    pub(super) fn finish(self, input: &str, outputs: &[&str]) -> Result<Vec<u8>, ConversionError> {
        let Some((name, shape)) = &self.input else {
            return Err(unsupported("the outputs do not depend on the input".to_owned()));
        };
        if name != input {
            return Err(unsupported(format!("the input is `{name}`, not `{input}`")));
        }
        let mut results = Vec::new();
        for output in outputs {
            match self.values.get(*output) {
                Some(Value::Computed(shape)) => results.push(value_info(output, *shape)),
                _ => return Err(unsupported(format!("output `{output}` is a constant"))),
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

    fn placeholder(&mut self, node: &Node) -> Result<Value, ConversionError> {
        let [height, width, channels] = node.picture()?;
        let shape = Shape::Image { channels, height, width };
        match self.input.replace((node.name.clone(), shape)) {
            None => Ok(Value::Computed(shape)),
            Some(_) => Err(node.fault("is a second input")),
        }
    }

    /// Kernels are height x width x inputs x outputs in TensorFlow; a depthwise one's last axis counts the outputs of
    /// each input.
    fn convolution(
        &mut self,
        node: &Node,
        x: &str,
        kernel: &str,
        depthwise: bool,
    ) -> Result<Value, ConversionError> {
        let Shape::Image { channels, height, width } = self.computed(node, x)? else {
            return Err(node.fault("takes no picture"));
        };
        let (dims, values) = self.floats(node, kernel)?;
        let &[rows, columns, inputs, outputs] = dims else {
            return Err(node.fault("has a kernel that is not of four axes"));
        };
        if inputs != channels || values.is_empty() {
            return Err(node.fault(&format!("has {channels} channels and a kernel of {dims:?}")));
        }
        if node.text("data_format")?.is_some_and(|format| format != "NHWC") {
            return Err(node.fault("has its channels elsewhere than last"));
        }
        let [stride_y, stride_x] = middle(node, "strides")?;
        let [dilation_y, dilation_x] = middle(node, "dilations")?;
        let padding = node.text("padding")?.unwrap_or_default();
        let extent = |window: Window, size: usize| match padding.as_str() {
            "SAME" => Ok(window.same(size)),
            "VALID" => window.valid(size).ok_or_else(|| node.fault("has a kernel larger than the picture")),
            _ => Err(node.fault(&format!("has the padding `{padding}`"))),
        };
        let y = extent(Window { kernel: rows, stride: stride_y, dilation: dilation_y }, height)?;
        let x_extent = extent(Window { kernel: columns, stride: stride_x, dilation: dilation_x }, width)?;

        let mut transposed = Vec::with_capacity(values.len());
        let at =
            |cell: usize, input: usize, output: usize| values[(cell * inputs + input) * outputs + output];
        let (features, per_group, group) =
            if depthwise { (inputs * outputs, 1, inputs) } else { (outputs, inputs, 1) };
        for feature in 0..features {
            for input in 0..per_group {
                let (input, output) =
                    if depthwise { (feature / outputs, feature % outputs) } else { (input, feature) };
                transposed.extend((0..rows * columns).map(|cell| at(cell, input, output)));
            }
        }
        let weight =
            self.initializer(&node.name, "kernel", &[features, per_group, rows, columns], &transposed);
        let attributes = vec![
            integers("dilations", &[dilation_y, dilation_x]),
            integer("group", group),
            integers("kernel_shape", &[rows, columns]),
            integers("pads", &[y.pad_before, x_extent.pad_before, y.pad_after, x_extent.pad_after]),
            integers("strides", &[stride_y, stride_x]),
        ];
        self.push("Conv", vec![x.to_owned(), weight], &node.name, attributes);
        let shape = Shape::Image { channels: features, height: y.outputs, width: x_extent.outputs };
        Ok(Value::Computed(shape))
    }

    /// A sum or a product, with a constant for all channels or one for each, or of two alike.
    fn arithmetic(&mut self, node: &Node, op: &str, a: &str, b: &str) -> Result<Value, ConversionError> {
        let (x, other) = if matches!(self.values.get(a), Some(Value::Constant(_))) { (b, a) } else { (a, b) };
        let shape = self.computed(node, x)?;
        let other = match self.values.get(other) {
            Some(Value::Computed(same)) if *same == shape => other.to_owned(),
            Some(Value::Computed(_)) => return Err(node.fault("takes two different shapes")),
            _ => {
                let (dims, values) = self.floats(node, other)?;
                let channels = shape.channels();
                let (last, before) = dims.split_last().unwrap_or((&1, &[]));
                if before.iter().any(|axis| *axis != 1) || (*last != 1 && *last != channels) {
                    return Err(node.fault(&format!("has a constant of {dims:?} for {channels} channels")));
                }
                let values = if *last == channels { values.to_vec() } else { vec![values[0]; channels] };
                let dims: &[usize] =
                    if matches!(shape, Shape::Image { .. }) { &[channels, 1, 1] } else { &[channels] };
                self.initializer(&node.name, "constant", dims, &values)
            }
        };
        self.push(op, vec![x.to_owned(), other], &node.name, Vec::new());
        Ok(Value::Computed(shape))
    }

    /// Splits the inputs of a minimum or maximum into the one that is computed and a constant.
    fn bound<'n>(&self, node: &Node, a: &'n str, b: &'n str) -> Result<(&'n str, f32), ConversionError> {
        let (x, bound) = if matches!(self.values.get(a), Some(Value::Constant(_))) { (b, a) } else { (a, b) };
        match self.floats(node, bound)? {
            (_, &[bound]) if !bound.is_nan() => Ok((x, bound)),
            _ => Err(node.fault("has a bound that is not one number")),
        }
    }

    /// Clamping to an interval and then to another is clamping once, to the first one's ends clamped to the second.
    fn clamp(&mut self, node: &Node, x: &str, low: f32, high: f32) -> Result<Value, ConversionError> {
        let shape = self.computed(node, x)?;
        let alone = self.uses.get(x) == Some(&1);
        if let Some(Step::Clamp { output, low: before_low, high: before_high, .. }) = self.steps.last_mut()
            && output == x
            && alone
        {
            *before_low = before_low.clamp(low, high);
            *before_high = before_high.clamp(low, high);
            node.name.clone_into(output);
        } else {
            self.steps.push(Step::Clamp { input: x.to_owned(), output: node.name.clone(), low, high });
        }
        Ok(Value::Computed(shape))
    }

    /// The mean of each channel over height and width.
    fn mean(&mut self, node: &Node, x: &str, axes: &str) -> Result<Value, ConversionError> {
        let Shape::Image { channels, .. } = self.computed(node, x)? else {
            return Err(node.fault("takes no picture"));
        };
        let over = match self.values.get(axes) {
            Some(Value::Constant(Constant { values: Values::Integers(axes), .. })) => axes.as_slice(),
            _ => &[],
        };
        if !matches!(over, [1 | -3, 2 | -2] | [2 | -2, 1 | -3]) {
            return Err(node.fault("is not over height and width"));
        }
        if node.flag("keep_dims") {
            self.push("GlobalAveragePool", vec![x.to_owned()], &node.name, Vec::new());
            return Ok(Value::Computed(Shape::Image { channels, height: 1, width: 1 }));
        }
        let pooled = format!("{}/pooled", node.name);
        self.push("GlobalAveragePool", vec![x.to_owned()], &pooled, Vec::new());
        self.push("Flatten", vec![pooled], &node.name, vec![integer("axis", 1)]);
        Ok(Value::Computed(Shape::Row { length: channels }))
    }

    /// A row times a matrix, with what TensorFlow has fused to it.
    fn product(
        &mut self,
        node: &Node,
        x: &str,
        kernel: &str,
        bias: Option<&str>,
    ) -> Result<Value, ConversionError> {
        let Shape::Row { length } = self.computed(node, x)? else {
            return Err(node.fault("takes no row"));
        };
        let (dims, values) = self.floats(node, kernel)?;
        let transposed = node.flag("transpose_b");
        let (inputs, outputs) = match *dims {
            [outputs, inputs] if transposed => (inputs, outputs),
            [inputs, outputs] => (inputs, outputs),
            _ => return Err(node.fault("has a kernel that is no matrix")),
        };
        if inputs != length || node.flag("transpose_a") {
            return Err(node.fault(&format!("takes a row of {length} and a kernel of {dims:?}")));
        }
        let (dims, values) = (dims.to_vec(), values.to_vec());
        let mut inputs = vec![x.to_owned(), self.initializer(&node.name, "kernel", &dims, &values)];
        if let Some(bias) = bias {
            let (dims, values) = self.floats(node, bias)?;
            if dims != [outputs] {
                return Err(node.fault(&format!("has a bias of {dims:?} for {outputs}")));
            }
            let values = values.to_vec();
            inputs.push(self.initializer(&node.name, "bias", &[outputs], &values));
        }
        let fused = node.texts("fused_ops")?;
        let fused: Vec<&str> = fused.iter().map(String::as_str).collect();
        let high = match (fused.as_slice(), bias) {
            ([], None) | (["BiasAdd"], Some(_)) => None,
            (["BiasAdd", "Relu"], Some(_)) => Some(f32::INFINITY),
            (["BiasAdd", "Relu6"], Some(_)) => Some(6.0),
            _ => return Err(node.fault(&format!("is fused with {fused:?}"))),
        };
        let attributes = vec![integer("transB", usize::from(transposed))];
        let sum = if high.is_some() { format!("{}/sum", node.name) } else { node.name.clone() };
        self.push("Gemm", inputs, &sum, attributes);
        if let Some(high) = high {
            self.steps.push(Step::Clamp { input: sum, output: node.name.clone(), low: 0.0, high });
        }
        Ok(Value::Computed(Shape::Row { length: outputs }))
    }

    fn softmax(&mut self, node: &Node, x: &str) -> Result<Value, ConversionError> {
        let shape = self.computed(node, x)?;
        if !matches!(shape, Shape::Row { .. }) {
            return Err(node.fault("takes no row"));
        }
        self.push("Softmax", vec![x.to_owned()], &node.name, vec![integer("axis", 1)]);
        Ok(Value::Computed(shape))
    }

    /// A node of one input and no attributes that keeps the shape.
    fn plain(&mut self, node: &Node, op: &str, x: &str) -> Result<Value, ConversionError> {
        if let Some(Value::Constant(constant)) = self.values.get(x)
            && op == "Identity"
        {
            return Ok(Value::Constant(constant.clone()));
        }
        let shape = self.computed(node, x)?;
        self.push(op, vec![x.to_owned()], &node.name, Vec::new());
        Ok(Value::Computed(shape))
    }

    fn computed(&self, node: &Node, name: &str) -> Result<Shape, ConversionError> {
        match self.values.get(name) {
            Some(Value::Computed(shape)) => Ok(*shape),
            _ => Err(node.fault(&format!("takes the constant `{name}` where a computed value is expected"))),
        }
    }

    fn floats(&self, node: &Node, name: &str) -> Result<(&[usize], &[f32]), ConversionError> {
        match self.values.get(name) {
            Some(Value::Constant(constant)) => constant.floats().map(|values| (&constant.dims[..], values)),
            _ => None,
        }
        .ok_or_else(|| node.fault(&format!("takes `{name}` where a constant of floats is expected")))
    }

    fn push(&mut self, op: &str, inputs: Vec<String>, output: &str, attributes: Vec<AttributeProto>) {
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
    fn initializer(&mut self, node: &str, part: &str, dims: &[usize], values: &[f32]) -> String {
        let name = format!("{node}/{part}");
        let dims = dims.iter().map(|axis| *axis as i64).collect();
        self.initializers.push(TensorProto::of_f32(name.clone(), dims, values));
        name
    }
}

/// The two middle ones of four sizes, the others and zero being refused.
fn middle(node: &Node, name: &str) -> Result<[usize; 2], ConversionError> {
    match node.sizes(name)?.as_deref() {
        None => Ok([1, 1]),
        Some(&[1, y, x, 1]) if y > 0 && x > 0 => Ok([y, x]),
        Some(other) => Err(node.fault(&format!("has {name} of {other:?}"))),
    }
}

fn clamp_node(
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
    // An end that is left out is no bound.
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

fn integer(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value as i64),
        r#type: Some(ATTRIBUTE_INT),
        ..AttributeProto::default()
    }
}

fn integers(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.iter().map(|value| *value as i64).collect(),
        r#type: Some(ATTRIBUTE_INTS),
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, shape: Shape) -> ValueInfoProto {
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
