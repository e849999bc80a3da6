//! Fits the number of inner channels to the blocks in which ONNX Runtime computes.

use std::collections::{HashMap, HashSet};

use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// ONNX Runtime computes channels in blocks of 16 (AVX-512) or 8, and falls back to slower code for other counts.
const BLOCK: usize = 16;

/// Drops inner channels with a constant value, and adds channels of zeros up to a multiple of 16.
///
/// Inner channels are those from one dense convolution to the next with only rectifiers and depthwise convolutions in
/// between. No other node depends on their number. The contribution of a constant channel is added to the next
/// convolution's bias. Only weights of exactly zero count as zero, so negligible weights must be flushed before.
pub(super) fn apply(graph: &mut GraphProto) {
    for chain in chains(graph) {
        fit(graph, &chain);
    }
}

/// Nodes by index: a dense convolution, the nodes that compute each channel separately, and the next dense convolution.
struct Chain {
    first: usize,
    middle: Vec<usize>,
    last: usize,
}

fn chains(graph: &GraphProto) -> Vec<Chain> {
    let mut users: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            users.entry(name).or_default().push(index);
        }
    }
    let outputs: HashSet<&str> = graph.output.iter().map(ValueInfoProto::name).collect();
    let constants: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect();
    // A constant that two nodes share cannot be changed for only one of them.
    let own = |name: &str| {
        constants.get(name).copied().filter(|_| users.get(name).is_some_and(|all| all.len() == 1))
    };

    let follow = |first: usize| -> Option<Chain> {
        let start = &graph.node[first];
        is_dense(start, &own)?;
        let mut middle = Vec::new();
        let mut value = start.output.first()?.as_str();
        loop {
            let &[index] = users.get(value)?.as_slice() else { return None };
            let node = &graph.node[index];
            if outputs.contains(value) || node.input.first()? != value {
                return None;
            }
            if is_dense(node, &own).is_some() {
                return (!middle.is_empty()).then_some(Chain { first, middle, last: index });
            }
            is_separate(node, &own)?;
            middle.push(index);
            value = node.output.first()?;
        }
    };
    (0..graph.node.len()).filter_map(follow).collect()
}

/// A convolution over all channels, with constant weights of its own.
fn is_dense<'a>(node: &NodeProto, own: &impl Fn(&str) -> Option<&'a TensorProto>) -> Option<()> {
    let whole = node.op_type() == "Conv" && group(node) == 1;
    (whole && node.input.iter().skip(1).all(|name| own(name).is_some_and(|t| t.f32s().is_some())))
        .then_some(())
}

/// A node that computes each channel from the same channel.
fn is_separate<'a>(node: &NodeProto, own: &impl Fn(&str) -> Option<&'a TensorProto>) -> Option<()> {
    let parameters: Option<Vec<&TensorProto>> = node.input.iter().skip(1).map(|name| own(name)).collect();
    let parameters = parameters?;
    let dims = parameters.first().map(|tensor| tensor.dims.as_slice());
    let fits = match (node.op_type(), dims) {
        ("Relu", None) => true,
        ("PRelu", Some([_, 1, 1])) => true,
        ("Conv", Some([channels, 1, ..])) => group(node) == *channels,
        _ => false,
    };
    (fits && parameters.iter().all(|tensor| tensor.f32s().is_some())).then_some(())
}

fn group(node: &NodeProto) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name() == "group").and_then(|group| group.i).unwrap_or(1)
}

fn fit(graph: &mut GraphProto, chain: &Chain) {
    let index: HashMap<String, usize> = graph
        .initializer
        .iter()
        .enumerate()
        .map(|(index, tensor)| (tensor.name().to_owned(), index))
        .collect();
    let tensor = |graph: &GraphProto, node: usize, position: usize| -> Option<usize> {
        graph.node[node].input.get(position).and_then(|name| index.get(name).copied())
    };
    let values = |graph: &GraphProto, node: usize, position: usize| -> Option<Vec<f32>> {
        graph.initializer[tensor(graph, node, position)?].f32s()
    };
    let Some(weights) = values(graph, chain.first, 1) else { return };
    let Some(channels) =
        values(graph, chain.last, 1).and_then(|_| axis(graph, tensor(graph, chain.first, 1), 0))
    else {
        return;
    };

    let bias =
        |graph: &GraphProto, node: usize| values(graph, node, 2).unwrap_or_else(|| vec![0.0; channels]);
    let mut constant: Vec<Option<f32>> = known_zero(&weights, channels)
        .into_iter()
        .zip(bias(graph, chain.first))
        .map(|(zero, bias)| zero.then_some(bias))
        .collect();
    for &node in &chain.middle {
        match graph.node[node].op_type() {
            "Relu" => constant.iter_mut().flatten().for_each(|value| *value = value.max(0.0)),
            "PRelu" => {
                let slopes = values(graph, node, 1).unwrap_or_default();
                for (value, slope) in constant.iter_mut().zip(slopes) {
                    *value = value.map(|value| if value < 0.0 { value * slope } else { value });
                }
            }
            _ => {
                // At the border a depthwise convolution includes its padding, so a constant other than 0 does not stay
                // constant.
                let zero = known_zero(&values(graph, node, 1).unwrap_or_default(), channels);
                for ((value, zero), bias) in constant.iter_mut().zip(zero).zip(bias(graph, node)) {
                    *value = (zero || *value == Some(0.0)).then_some(bias);
                }
            }
        }
    }

    let shift = absorb(graph, chain, tensor(graph, chain.last, 1), tensor(graph, chain.last, 2), &constant);
    let keep: Vec<usize> = (0..channels).filter(|channel| !shift.contains(channel)).collect();
    let width = keep.len().max(1).next_multiple_of(BLOCK);
    for node in std::iter::once(chain.first).chain(chain.middle.iter().copied()) {
        for position in 1..graph.node[node].input.len() {
            if let Some(tensor) = tensor(graph, node, position) {
                select(&mut graph.initializer[tensor], 0, &keep, width);
            }
        }
        if node != chain.first
            && let Some(group) =
                graph.node[node].attribute.iter_mut().find(|attribute| attribute.name() == "group")
        {
            group.i = i64::try_from(width).ok();
        }
    }
    if let Some(tensor) = tensor(graph, chain.last, 1) {
        select(&mut graph.initializer[tensor], 1, &keep, width);
    }
}

/// Adds the contribution of constant channels to the last convolution's bias, and returns the channels that are no
/// longer needed.
fn absorb(
    graph: &mut GraphProto,
    chain: &Chain,
    weights: Option<usize>,
    bias: Option<usize>,
    constant: &[Option<f32>],
) -> HashSet<usize> {
    let Some(weights) = weights.map(|tensor| &graph.initializer[tensor]) else { return HashSet::new() };
    let values = weights.f32s().unwrap_or_default();
    let outputs = usize::try_from(weights.dims[0]).unwrap_or(0);
    let taps = values.len() / (outputs * constant.len()).max(1);
    let of = |output: usize, channel: usize| &values[(output * constant.len() + channel) * taps..][..taps];
    // With padding, a constant contributes less at the border.
    let unpadded = !graph.node[chain.last].attribute.iter().any(|attribute| {
        attribute.name() == "auto_pad"
            || (attribute.name() == "pads" && attribute.ints.iter().any(|pad| *pad != 0))
    });
    let mut dropped = HashSet::new();
    let mut sums = vec![0.0f64; outputs];
    for (channel, constant) in constant.iter().enumerate() {
        let unused = (0..outputs).all(|output| of(output, channel).iter().all(|weight| *weight == 0.0));
        match constant {
            _ if unused => {}
            Some(0.0) => {}
            Some(constant) if unpadded && bias.is_some() => {
                for (output, sum) in sums.iter_mut().enumerate() {
                    let weight: f64 = of(output, channel).iter().map(|weight| f64::from(*weight)).sum();
                    *sum += weight * f64::from(*constant);
                }
            }
            _ => continue,
        }
        dropped.insert(channel);
    }
    if let Some(bias) = bias.map(|tensor| &mut graph.initializer[tensor])
        && let Some(values) = bias.f32s()
    {
        let moved = values.iter().zip(sums).map(|(value, sum)| (f64::from(*value) + sum) as f32).collect();
        bias.set_f32s(moved);
    }
    dropped
}

/// Whether all values of a channel are zero, for each channel of the leading axis.
fn known_zero(values: &[f32], channels: usize) -> Vec<bool> {
    let size = (values.len() / channels.max(1)).max(1);
    values.chunks(size).map(|channel| channel.iter().all(|value| *value == 0.0)).collect()
}

fn axis(graph: &GraphProto, tensor: Option<usize>, axis: usize) -> Option<usize> {
    usize::try_from(*graph.initializer[tensor?].dims.get(axis)?).ok()
}

/// Keeps the entries `keep` of an axis, in order, and adds zeros up to `width`.
fn select(tensor: &mut TensorProto, axis: usize, keep: &[usize], width: usize) {
    let Some(values) = tensor.f32s() else { return };
    let dims: Vec<usize> = tensor.dims.iter().filter_map(|dim| usize::try_from(*dim).ok()).collect();
    let inner: usize = dims[axis + 1..].iter().product();
    let mut selected = Vec::with_capacity(values.len() / dims[axis].max(1) * width);
    for outer in values.chunks(dims[axis] * inner) {
        for &entry in keep {
            selected.extend_from_slice(&outer[entry * inner..(entry + 1) * inner]);
        }
        selected.resize(selected.len() + (width - keep.len()) * inner, 0.0);
    }
    tensor.dims[axis] = width as i64;
    tensor.set_f32s(selected);
}

#[cfg(test)]
mod tests {
    use super::super::proto::{ATTRIBUTE_INT, AttributeProto};
    use super::super::test_model;
    use super::*;

    fn constant(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
        TensorProto::of_f32(name.to_owned(), dims.to_vec(), values)
    }

    fn depthwise(inputs: &[&str], output: &str, channels: i64) -> NodeProto {
        let mut node = test_model::node("Conv", inputs, output);
        node.attribute.push(AttributeProto {
            name: Some("group".to_owned()),
            i: Some(channels),
            r#type: Some(ATTRIBUTE_INT),
            ..AttributeProto::default()
        });
        node
    }

    /// A graph that turns two channels into five, and these into two. Of the five, 0 is computed from the input, 1 is
    /// only a bias, 2 is a constant that changes at the border of a depthwise kernel, 3 is not used, 4 is zero until
    /// its second bias.
    fn bottleneck() -> GraphProto {
        let nodes = vec![
            test_model::node("Conv", &["input", "w1", "b1"], "a"),
            test_model::node("PRelu", &["a", "slope"], "b"),
            depthwise(&["b", "w2", "b2"], "c", 5),
            test_model::node("Relu", &["c"], "d"),
            test_model::node("Conv", &["d", "w3", "b3"], "output"),
        ];
        let kernel = |centre: f32| [0.5, 0.5, 0.5, 0.5, centre, 0.5, 0.5, 0.5, 0.5];
        let kernels = [kernel(1.5), [0.0; 9], kernel(2.0), kernel(3.0), kernel(4.0)].concat();
        let constants = vec![
            constant("w1", &[5, 2, 1, 1], &[1.0, -2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
            constant("b1", &[5], &[0.1, -0.2, -0.3, 0.4, 0.0]),
            constant("slope", &[5, 1, 1], &[0.25, 0.5, 0.5, 0.1, 0.1]),
            constant("w2", &[5, 1, 3, 3], &kernels),
            constant("b2", &[5], &[0.0, 0.7, 1.0, 0.0, 0.9]),
            constant("w3", &[2, 5, 1, 1], &[1.0, 2.0, 3.0, 0.0, 5.0, -1.0, 0.5, 0.25, 0.0, 1.0]),
            constant("b3", &[2], &[0.0, 1.0]),
        ];
        test_model::graph(&[1, 2, 1, 1], nodes, constants)
    }

    /// Runs the graph on a picture of one pixel, for which only the centre of a 3x3 kernel matters.
    fn run(graph: &GraphProto, input: &[f32]) -> Vec<f32> {
        let constants: HashMap<&str, Vec<f32>> =
            graph.initializer.iter().map(|tensor| (tensor.name(), tensor.f32s().unwrap())).collect();
        let mut values = HashMap::from([("input", input.to_vec())]);
        for node in &graph.node {
            let x = &values[node.input[0].as_str()];
            let parameter = |position: usize| &constants[node.input[position].as_str()];
            let result = match (node.op_type(), group(node)) {
                ("Relu", _) => x.iter().map(|x| x.max(0.0)).collect(),
                ("PRelu", _) => {
                    x.iter().zip(parameter(1)).map(|(x, s)| if *x < 0.0 { x * s } else { *x }).collect()
                }
                ("Conv", 1) => parameter(1)
                    .chunks(x.len())
                    .zip(parameter(2))
                    .map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>())
                    .collect(),
                ("Conv", channels) => {
                    assert_eq!(channels as usize, x.len());
                    let centres = parameter(1).chunks(9).map(|kernel| kernel[4]);
                    x.iter().zip(centres).zip(parameter(2)).map(|((x, w), bias)| x * w + bias).collect()
                }
                other => panic!("{other:?}"),
            };
            values.insert(node.output[0].as_str(), result);
        }
        values["output"].clone()
    }

    #[test]
    fn constant_channels_go_and_zeros_fill_up() {
        let original = bottleneck();
        let mut fitted = original.clone();
        apply(&mut fitted);
        for input in [[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]] {
            for (found, expected) in run(&fitted, &input).into_iter().zip(run(&original, &input)) {
                assert!((found - expected).abs() < 1e-5, "{input:?}: {found} {expected}");
            }
        }
        let dims: Vec<_> = fitted.initializer.iter().map(|tensor| tensor.dims.clone()).collect();
        assert_eq!(dims[0], [16, 2, 1, 1]);
        assert_eq!(dims[3], [16, 1, 3, 3]);
        assert_eq!(dims[5], [2, 16, 1, 1]);
        assert_eq!(group(&fitted.node[2]), 16);
        // Channels 0 and 2 remain.
        let last = fitted.initializer[5].f32s().unwrap();
        assert_eq!((&last[..3], &last[16..19]), (&[1.0, 3.0, 0.0][..], &[-1.0, 0.25, 0.0][..]));
        // 2.0 * 0.7 + 5.0 * 0.9 and 1.0 + 0.5 * 0.7 + 1.0 * 0.9
        let bias = fitted.initializer[6].f32s().unwrap();
        assert!((bias[0] - 5.9).abs() < 1e-6 && (bias[1] - 2.25).abs() < 1e-6, "{bias:?}");
    }

    #[test]
    fn channels_that_somebody_else_sees_stay() {
        let is_kept = |change: fn(&mut GraphProto)| {
            let mut graph = bottleneck();
            change(&mut graph);
            let before = graph.clone();
            apply(&mut graph);
            graph == before
        };
        assert!(is_kept(|graph| graph.node.push(test_model::node("Identity", &["b"], "e"))));
        assert!(is_kept(|graph| graph.output.push(test_model::value("c", &[1, 5, 1, 1]))));
        assert!(is_kept(|graph| graph.node[3].op_type = Some("Softmax".to_owned())));
        assert!(is_kept(|graph| graph.node[1].input[1] = "b1".to_owned()));
        assert!(is_kept(|graph| graph.initializer[2].dims = vec![5]));
        assert!(!is_kept(|_| {}));
    }

    #[test]
    fn padding_keeps_constants_that_are_not_zero() {
        let mut graph = bottleneck();
        let pads =
            AttributeProto { name: Some("pads".to_owned()), ints: vec![1; 4], ..AttributeProto::default() };
        graph.node[4].attribute.push(pads);
        apply(&mut graph);
        let last = graph.initializer[5].f32s().unwrap();
        assert_eq!(last[..5], [1.0, 2.0, 3.0, 5.0, 0.0], "only the unused channel goes");
        assert_eq!(graph.initializer[6].f32s().unwrap(), [0.0, 1.0]);
    }
}
