//! Replaces parametric rectifiers by operators that ONNX Runtime computes without branches.
//!
//! `PRelu(x) = max(x, 0) + slope * min(x, 0)`, with one slope per channel.

use std::collections::{HashMap, HashSet};

use super::error::ConversionError;
use super::proto::{ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, GraphProto, NodeProto, TensorProto};

/// Replaces each `PRelu` by `Max(x, slope * x)` if no slope of the node exceeds 1, otherwise by `r + slope * (x - r)`
/// with `r = Relu(x)`. Both round as `PRelu` does.
pub(super) fn to_max(graph: &mut GraphProto) -> Result<(), ConversionError> {
    replace(graph, |rewrite| {
        let (x, slope, y) = (rewrite.x, rewrite.slope_name, rewrite.y);
        if rewrite.slope_at_most_one() {
            return Ok(vec![
                node("Mul", &[x, slope], &rewrite.part("scaled")),
                node("Max", &[x, &rewrite.part("scaled")], y),
            ]);
        }
        Ok(vec![
            node("Relu", &[x], &rewrite.part("positive")),
            node("Sub", &[x, &rewrite.part("positive")], &rewrite.part("negative")),
            node("Mul", &[&rewrite.part("negative"), slope], &rewrite.part("scaled")),
            node("Add", &[&rewrite.part("positive"), &rewrite.part("scaled")], y),
        ])
    })
}

/// Replaces each `PRelu` by `slope * x + Relu((1 - slope) * x)`, with depthwise 1x1 convolutions for the
/// multiplications.
///
/// ONNX Runtime fuses `Relu` and `Add` into them and keeps its blocked layout (NCHWc) from one convolution to the next.
/// `Mul` and `Max` would cost a reordering before and after. The result differs from `PRelu` by rounding. Where a slope
/// exceeds 1, the form is `slope * x + (1 - slope) * Relu(x)`.
pub(super) fn to_conv(graph: &mut GraphProto) -> Result<(), ConversionError> {
    replace(graph, |rewrite| {
        let channels = rewrite.channels()?;
        let slopes = rewrite.slopes.clone();
        let rest: Vec<f32> = slopes.iter().map(|slope| 1.0 - slope).collect();
        let scale = rewrite.weights("scale", channels, &slopes);
        let rest = rewrite.weights("rest", channels, &rest);
        let (x, y) = (rewrite.x, rewrite.y);
        let (inner, outer) = (rewrite.part("inner"), rewrite.part("outer"));
        let mut nodes = if rewrite.slope_at_most_one() {
            vec![depthwise(x, &rest, channels, &inner), node("Relu", &[&inner], &outer)]
        } else {
            vec![node("Relu", &[x], &inner), depthwise(&inner, &rest, channels, &outer)]
        };
        let scaled = rewrite.part("scaled");
        nodes.push(depthwise(x, &scale, channels, &scaled));
        nodes.push(node("Add", &[&scaled, &outer], y));
        Ok(nodes)
    })
}

/// The replacement of one `PRelu`.
struct Rewrite<'a> {
    x: &'a str,
    y: &'a str,
    slope_name: &'a str,
    slopes: Vec<f32>,
    slope_dims: Vec<i64>,
    added: Vec<TensorProto>,
}

impl Rewrite<'_> {
    fn slope_at_most_one(&self) -> bool {
        self.slopes.iter().all(|slope| *slope <= 1.0)
    }

    fn channels(&self) -> Result<i64, ConversionError> {
        match self.slope_dims[..] {
            [channels, 1, 1] => Ok(channels),
            _ => {
                Err(ConversionError::Unsupported(format!("slope `{}` is not one a channel", self.slope_name)))
            }
        }
    }

    fn part(&self, what: &str) -> String {
        format!("{}/{what}", self.y)
    }

    fn weights(&mut self, what: &str, channels: i64, values: &[f32]) -> String {
        let name = format!("{}/{what}", self.slope_name);
        self.added.push(TensorProto::of_f32(name.clone(), vec![channels, 1, 1, 1], values));
        name
    }
}

fn replace(
    graph: &mut GraphProto,
    rewrite: impl Fn(&mut Rewrite<'_>) -> Result<Vec<NodeProto>, ConversionError>,
) -> Result<(), ConversionError> {
    let slopes: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect();
    let mut nodes = Vec::with_capacity(graph.node.len());
    let mut added: Vec<TensorProto> = Vec::new();
    for node in &graph.node {
        if node.op_type() != "PRelu" {
            nodes.push(node.clone());
            continue;
        }
        let ([x, slope_name], [y]) = (&node.input[..], &node.output[..]) else {
            return Err(ConversionError::Unsupported("a PRelu without two inputs and one output".to_owned()));
        };
        let (slopes, slope_dims) = slopes
            .get(slope_name.as_str())
            .and_then(|tensor| Some((tensor.f32s()?, tensor.dims.clone())))
            .ok_or_else(|| ConversionError::Unsupported(format!("slope `{slope_name}` is not a constant")))?;
        let mut one = Rewrite { x, y, slope_name, slopes, slope_dims, added: Vec::new() };
        nodes.extend(rewrite(&mut one)?);
        // Another node may use the same slope, so a constant may be here already.
        added.retain(|tensor| one.added.iter().all(|new| new.name != tensor.name));
        added.append(&mut one.added);
    }
    graph.node = nodes;
    graph.initializer.append(&mut added);
    let used: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    graph.initializer.retain(|tensor| tensor.name.as_ref().is_some_and(|name| used.contains(name)));
    Ok(())
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: Some(format!("{output}:{op}")),
        op_type: Some(op.to_owned()),
        ..NodeProto::default()
    }
}

fn depthwise(x: &str, weights: &str, channels: i64, output: &str) -> NodeProto {
    let attribute = vec![
        AttributeProto {
            name: Some("group".to_owned()),
            i: Some(channels),
            r#type: Some(ATTRIBUTE_INT),
            ..AttributeProto::default()
        },
        AttributeProto {
            name: Some("kernel_shape".to_owned()),
            ints: vec![1, 1],
            r#type: Some(ATTRIBUTE_INTS),
            ..AttributeProto::default()
        },
    ];
    NodeProto { attribute, ..node("Conv", &[x, weights], output) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::test_model;
    use super::*;

    const SLOPES: [f32; 4] = [0.25, -0.5, 1.0, 0.0];
    const STEEP: [f32; 4] = [0.25, -0.5, 1.5, 0.0];

    fn prelu(slopes: &[f32], dims: &[i64]) -> GraphProto {
        let slope = TensorProto::of_f32("slope".to_owned(), dims.to_vec(), slopes);
        test_model::graph(
            &[1, 4, 1, 1],
            vec![test_model::node("PRelu", &["input", "slope"], "output")],
            vec![slope],
        )
    }

    /// Computes the few operators that conversion writes, for one pixel of four channels.
    fn run(graph: &GraphProto, input: [f32; 4]) -> [f32; 4] {
        let mut values: BTreeMap<&str, [f32; 4]> = graph
            .initializer
            .iter()
            .map(|tensor| (tensor.name(), tensor.f32s().unwrap().try_into().unwrap()))
            .collect();
        values.insert("input", input);
        for node in &graph.node {
            let a = values[node.input[0].as_str()];
            let b = node.input.get(1).map_or([0.0; 4], |name| values[name.as_str()]);
            let both = |f: fn(f32, f32) -> f32| std::array::from_fn(|channel| f(a[channel], b[channel]));
            let result = match node.op_type() {
                "Relu" => both(|a, _| a.max(0.0)),
                "Max" => both(f32::max),
                "Add" => both(|a, b| a + b),
                "Sub" => both(|a, b| a - b),
                "Mul" | "Conv" => both(|a, b| a * b),
                "PRelu" => both(|x, slope| if x < 0.0 { slope * x } else { x }),
                other => panic!("{other}"),
            };
            values.insert(node.output[0].as_str(), result);
        }
        values["output"]
    }

    #[test]
    fn both_forms_compute_prelu() {
        for slopes in [SLOPES, STEEP] {
            let original = prelu(&slopes, &[4, 1, 1]);
            let (mut max, mut conv) = (original.clone(), original.clone());
            to_max(&mut max).unwrap();
            to_conv(&mut conv).unwrap();
            for x in [-3.7, -1e-3, 0.0, 1e-3, 2.9] {
                let expected = run(&original, [x; 4]);
                assert_eq!(run(&max, [x; 4]), expected, "{slopes:?} {x}");
                for (found, expected) in run(&conv, [x; 4]).into_iter().zip(expected) {
                    assert!((found - expected).abs() <= 1e-6 * x.abs(), "{slopes:?} {x}: {found} {expected}");
                }
            }
            for graph in [max, conv] {
                assert!(graph.node.iter().all(|node| node.op_type() != "PRelu"));
                let names: HashSet<_> = graph.initializer.iter().map(TensorProto::name).collect();
                assert_eq!(names.len(), graph.initializer.len());
            }
        }
    }

    #[test]
    fn max_serves_while_no_slope_exceeds_one() {
        let ops = |slopes: &[f32]| {
            let mut graph = prelu(slopes, &[4, 1, 1]);
            to_max(&mut graph).unwrap();
            graph.node.iter().map(|node| node.op_type().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ops(&SLOPES), ["Mul", "Max"]);
        assert_eq!(ops(&STEEP), ["Relu", "Sub", "Mul", "Add"]);
    }

    #[test]
    fn what_is_not_one_slope_a_channel_is_refused() {
        let mut graph = prelu(&SLOPES, &[4]);
        assert!(matches!(to_conv(&mut graph), Err(ConversionError::Unsupported(_))));
        graph.initializer.clear();
        assert!(matches!(to_max(&mut graph), Err(ConversionError::Unsupported(_))));
    }
}
