//! Convolutions of TensorFlow as convolutions of ONNX.

use super::builder::{Builder, Value};
use super::nodes::{integer, integers};
use super::shape::{Shape, Window};
use super::topology::Node;
use crate::onnx::error::ConversionError;

impl Builder {
    /// TensorFlow's kernels are height x width x inputs x outputs. In a depthwise kernel the last axis has the outputs
    /// of one input.
    pub(super) fn convolution(
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
}

/// The two middle ones of four sizes. The outer ones must be 1, and the middle ones not zero.
fn middle(node: &Node, name: &str) -> Result<[usize; 2], ConversionError> {
    match node.sizes(name)?.as_deref() {
        None => Ok([1, 1]),
        Some(&[1, y, x, 1]) if y > 0 && x > 0 => Ok([y, x]),
        Some(other) => Err(node.fault(&format!("has {name} of {other:?}"))),
    }
}
