//! Operations of TensorFlow as operators of ONNX.

use super::builder::{Builder, Step, Value};
use super::nodes::integer;
use super::shape::Shape;
use super::topology::Node;
use super::weights::{Constant, Values};
use crate::onnx::error::ConversionError;

impl Builder {
    /// Adds a node. The nodes of its inputs must have been added before.
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

    fn placeholder(&mut self, node: &Node) -> Result<Value, ConversionError> {
        let [height, width, channels] = node.picture()?;
        let shape = Shape::Image { channels, height, width };
        match self.input.replace((node.name.clone(), shape)) {
            None => Ok(Value::Computed(shape)),
            Some(_) => Err(node.fault("is a second input")),
        }
    }

    /// A sum or a product of two values of one shape, or of a value and a constant (one for all channels or one per
    /// channel).
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

    /// Splits the inputs of a minimum or maximum into the computed value and the constant.
    fn bound<'n>(&self, node: &Node, a: &'n str, b: &'n str) -> Result<(&'n str, f32), ConversionError> {
        let (x, bound) = if matches!(self.values.get(a), Some(Value::Constant(_))) { (b, a) } else { (a, b) };
        match self.floats(node, bound)? {
            (_, &[bound]) if !bound.is_nan() => Ok((x, bound)),
            _ => Err(node.fault("has a bound that is not one number")),
        }
    }

    /// Merges consecutive clamps into one. Its bounds are those of the first clamp, clamped to the second interval.
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

    /// The product of a row and a matrix, with the operations that TensorFlow has fused with it.
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
}
