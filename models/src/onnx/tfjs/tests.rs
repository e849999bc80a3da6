//! Conversions of small graph models. The tests in `deploy/e2e`, which have ONNX Runtime, show that converted models
//! compute the same.

use proptest::prelude::{any, prop};
use proptest::{prop_assert, proptest};
use prost::Message;
use serde_json::{Value, json};

use super::{TfjsModel, import};
use crate::manifest::{Channels, Crop, Input, Output};
use crate::onnx::ConversionError;
use crate::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};

/// `SAME` in base64, as attributes contain it.
const SAME: &str = "U0FNRQ==";
const VALID: &str = "VkFMSUQ=";
const BIAS_ADD: &str = "Qmlhc0FkZA==";
const RELU: &str = "UmVsdQ==";

fn input() -> Input {
    Input {
        name: "x".to_owned(),
        width: 4,
        height: 4,
        channels: Channels::Rgb,
        mean: vec![0.0],
        scale: vec![1.0],
        crop: Crop::Whole,
    }
}

fn output(name: &str) -> Output {
    Output::Class { name: name.to_owned(), index: 0, softmax: false }
}

fn node(op: &str, name: &str, inputs: &[&str], attributes: &Value) -> Value {
    json!({ "name": name, "op": op, "input": inputs, "attr": attributes })
}

fn placeholder(height: i64, width: i64, channels: i64) -> Value {
    let size = |size: i64| json!({ "size": size.to_string() });
    let dims = [size(-1), size(height), size(width), size(channels)];
    node("Placeholder", "x", &[], &json!({ "shape": { "shape": { "dim": dims } } }))
}

fn convolution(op: &str, padding: &str, stride: usize) -> Value {
    let strides = ["1".to_owned(), stride.to_string(), stride.to_string(), "1".to_owned()];
    node(
        op,
        "y",
        &["x", "k"],
        &json!({ "strides": { "list": { "i": strides } }, "padding": { "s": padding } }),
    )
}

/// A graph model of these nodes and weights, as its two files.
fn model(nodes: &[Value], weights: &[(&str, &[usize], &[f32])]) -> (Value, Vec<u8>) {
    let constants = weights.iter().map(|(name, ..)| node("Const", name, &[], &json!({})));
    let nodes: Vec<Value> = constants.chain(nodes.iter().cloned()).collect();
    let specs: Vec<Value> = weights
        .iter()
        .map(|(name, shape, _)| json!({ "name": name, "shape": shape, "dtype": "float32" }))
        .collect();
    let file = weights.iter().flat_map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()));
    let json = json!({
        "format": "graph-model",
        "modelTopology": { "node": nodes },
        "weightsManifest": [{ "paths": ["weights.bin"], "weights": specs }],
    });
    (json, file.collect())
}

fn convert((json, weights): &(Value, Vec<u8>), name: &str) -> Result<GraphProto, ConversionError> {
    let topology = json.to_string().into_bytes();
    let file = import(TfjsModel { topology: &topology, weights }, &input(), &output(name))?;
    assert_eq!(import(TfjsModel { topology: &topology, weights }, &input(), &output(name))?, file);
    Ok(ModelProto::decode(file.as_slice()).unwrap().graph.unwrap())
}

fn ints(node: &NodeProto, name: &str) -> Vec<i64> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name() == name).unwrap();
    attribute.i.map_or(attribute.ints.clone(), |value| vec![value])
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(NodeProto::op_type).collect()
}

/// A small network with every kind of node that a face model has.
fn net() -> (Value, Vec<u8>) {
    let nodes = [
        placeholder(4, 4, 2),
        convolution("Conv2D", SAME, 2),
        node("AddV2", "sum", &["y", "b"], &json!({})),
        node("Relu", "relu", &["sum"], &json!({})),
        node("Minimum", "low", &["relu", "six"], &json!({})),
        node("Maximum", "high", &["low", "zero"], &json!({})),
        node("Mean", "mean", &["high", "axes"], &json!({})),
        node(
            "_FusedMatMul",
            "row",
            &["mean", "m", "b"],
            &json!({ "fused_ops": { "list": { "s": [BIAS_ADD, RELU] } } }),
        ),
        node("Softmax", "out", &["row"], &json!({})),
        node("Sigmoid", "other", &["row"], &json!({})),
    ];
    let kernel: Vec<f32> = (0u16..36).map(f32::from).collect();
    let weights: [(&str, &[usize], &[f32]); 6] = [
        ("k", &[3, 3, 2, 2], &kernel),
        ("b", &[2], &[0.5, -0.5]),
        ("six", &[], &[6.0]),
        ("zero", &[], &[0.0]),
        ("m", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        ("axes", &[2], &[f32::from_bits(1), f32::from_bits(2)]),
    ];
    let (mut json, weights) = model(&nodes, &weights);
    json["weightsManifest"][0]["weights"][5]["dtype"] = "int32".into();
    (json, weights)
}

#[test]
fn a_net_keeps_what_its_output_needs_and_transposes_nothing_at_run_time() {
    let graph = convert(&net(), "out").unwrap();
    let expected = ["Conv", "Add", "Clip", "GlobalAveragePool", "Flatten", "Gemm", "Relu", "Softmax"];
    assert_eq!(operators(&graph), expected);
    let constants: Vec<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    assert_eq!(constants, ["y/kernel", "sum/constant", "row/kernel", "row/bias", "high/low", "high/high"]);
    assert_eq!(graph.initializer[1].dims, [2, 1, 1]);
    let shape = graph.input[0].r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
    let dims: Vec<Option<i64>> = shape.dim.iter().map(|dim| dim.dim_value).collect();
    assert_eq!(dims, [None, Some(2), Some(4), Some(4)]);
    assert_eq!(operators(&convert(&net(), "other").unwrap()).last(), Some(&"Sigmoid"));
}

#[test]
fn kernels_are_transposed_and_even_sizes_are_padded_at_their_end() {
    let graph = convert(&net(), "y").unwrap();
    // Rows, columns, inputs, outputs become outputs, inputs, rows, columns.
    assert_eq!(graph.initializer[0].dims, [2, 2, 3, 3]);
    let kernel = graph.initializer[0].f32s().unwrap();
    assert_eq!(kernel[..9], [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0]);
    assert_eq!(kernel[9..12], [2.0, 6.0, 10.0]);
    assert_eq!(kernel[18..21], [1.0, 5.0, 9.0]);
    let node = &graph.node[0];
    assert_eq!(ints(node, "pads"), [0, 0, 1, 1]);
    assert_eq!((ints(node, "strides"), ints(node, "group")), (vec![2, 2], vec![1]));

    let depthwise = convolution("DepthwiseConv2dNative", VALID, 1);
    let kernel: Vec<f32> = (0u16..24).map(f32::from).collect();
    let graph =
        convert(&model(&[placeholder(4, 5, 3), depthwise], &[("k", &[2, 2, 3, 2], &kernel)]), "y").unwrap();
    assert_eq!(graph.initializer[0].dims, [6, 1, 2, 2]);
    // Input 1, its first output: every sixth value from the third one on.
    assert_eq!(graph.initializer[0].f32s().unwrap()[8..12], [2.0, 8.0, 14.0, 20.0]);
    assert_eq!((ints(&graph.node[0], "group"), ints(&graph.node[0], "pads")), (vec![3], vec![0; 4]));
    let shape = graph.output[0].r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
    assert_eq!(shape.dim.iter().filter_map(|dim| dim.dim_value).collect::<Vec<_>>(), [6, 3, 4]);
}

#[test]
fn halves_become_floats() {
    let nodes = [placeholder(1, 1, 2), node("Mul", "y", &["k", "x"], &json!({}))];
    let (mut json, _) = model(&nodes, &[("k", &[2], &[0.0; 2])]);
    json["weightsManifest"][0]["weights"][0]["quantization"] =
        json!({ "dtype": "float16", "original_dtype": "float32" });
    // 1.5 and -2 in half precision.
    let graph = convert(&(json, vec![0x00, 0x3e, 0x00, 0xc0]), "y").unwrap();
    assert_eq!(graph.initializer[0].f32s().unwrap(), [1.5, -2.0]);
}

#[test]
fn clamps_in_a_row_are_one_unless_somebody_looks_between_them() {
    let chain = |between: &[Value]| {
        let nodes = [
            placeholder(1, 1, 2),
            node("Minimum", "a", &["x", "two"], &json!({})),
            node("Maximum", "b", &["five", "a"], &json!({})),
            node("Relu6", "c", &["b"], &json!({})),
        ];
        let nodes: Vec<Value> = nodes.iter().chain(between).cloned().collect();
        model(&nodes, &[("two", &[], &[2.0]), ("five", &[1], &[5.0])])
    };
    let graph = convert(&chain(&[]), "c").unwrap();
    assert_eq!(operators(&graph), ["Clip"]);
    // At most 2, then at least 5: always 5.
    let bounds: Vec<f32> = graph.initializer.iter().flat_map(|bound| bound.f32s().unwrap()).collect();
    assert_eq!(bounds, [5.0, 5.0]);
    let graph = convert(&chain(&[node("Add", "d", &["c", "a"], &json!({}))]), "d").unwrap();
    assert_eq!(operators(&graph), ["Clip", "Clip", "Add"]);
}

#[test]
fn what_is_malformed_or_unknown_is_named() {
    let refused = |change: &dyn Fn(&mut Value, &mut Vec<u8>), reason: &str| {
        let (mut json, mut weights) = net();
        change(&mut json, &mut weights);
        let error = convert(&(json, weights), "out").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    };
    let at = |json: &mut Value, name: &str, field: &str, value: Value| {
        let nodes = json["modelTopology"]["node"].as_array_mut().unwrap();
        nodes.iter_mut().find(|node| node["name"] == name).unwrap()[field] = value;
    };
    refused(&|_, weights| weights.truncate(100), "the weights end before `k` does");
    refused(&|_, weights| weights.push(0), "1 bytes follow the last weight");
    refused(&|json, _| at(json, "relu", "op", "Selu".into()), "Selu `relu` with 1 inputs is not known");
    refused(&|json, _| at(json, "relu", "input", json!(["low"])), "depends on itself");
    refused(&|json, _| at(json, "relu", "input", json!(["gone"])), "there is no node `gone`");
    refused(&|json, _| at(json, "relu", "input", json!(["sum:1"])), "a second output");
    refused(&|json, _| at(json, "relu", "input", json!(["b"])), "takes the constant `b`");
    refused(&|json, _| at(json, "mean", "input", json!(["high", "b"])), "not over height and width");
    refused(&|json, _| at(json, "row", "input", json!(["mean", "k", "b"])), "no matrix");
    refused(&|json, _| at(json, "x", "name", "another".into()), "there is no node `x`");
    refused(&|json, _| at(json, "y", "attr", json!({ "padding": { "s": RELU } })), "the padding `Relu`");
    let strides = json!({ "strides": { "list": { "i": ["1", "0", "0", "1"] } } });
    refused(&|json, _| at(json, "y", "attr", strides.clone()), "has strides of [1, 0, 0, 1]");
    let huge = |json: &mut Value, _: &mut Vec<u8>| {
        json["weightsManifest"][0]["weights"][0]["shape"] = json!([usize::MAX, 3, 2, 2]);
    };
    refused(&huge, "the weights end before `k` does");
    let twice = |json: &mut Value, _: &mut Vec<u8>| at(json, "relu", "name", "sum".into());
    refused(&twice, "two nodes are named `sum`");
    assert!(matches!(
        import(TfjsModel { topology: b"{}", weights: b"" }, &input(), &output("out")),
        Err(ConversionError::Json(_))
    ));
    let renamed = Input { name: "z".to_owned(), ..input() };
    let (json, weights) = net();
    let topology = json.to_string().into_bytes();
    let error =
        import(TfjsModel { topology: &topology, weights: &weights }, &renamed, &output("out")).unwrap_err();
    assert!(error.to_string().contains("the input is `x`, not `z`"), "{error}");
}

/// Every value inside a document.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, one)| places(one, &format!("{path}/{at}"), found));
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, one)| places(one, &format!("{path}/{key}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_change_to_a_graph_model_does_harm() {
    let (json, weights) = net();
    let mut found = Vec::new();
    places(&json, "", &mut found);
    let odd = [
        json!(null),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(""),
        json!("0"),
        json!("x"),
        json!([]),
        json!({}),
        json!(["x"]),
    ];
    for place in &found {
        for value in &odd {
            let mut json = json.clone();
            *json.pointer_mut(place).unwrap() = value.clone();
            let topology = json.to_string().into_bytes();
            let _ = import(TfjsModel { topology: &topology, weights: &weights }, &input(), &output("out"));
        }
    }
    assert!(found.len() > 150, "{}", found.len());
}

proptest! {
    #[test]
    fn any_bytes_are_refused(topology in prop::collection::vec(any::<u8>(), 0..64), weights: Vec<u8>) {
        let model = TfjsModel { topology: &topology, weights: &weights };
        prop_assert!(import(model, &input(), &output("out")).is_err());
    }
}
