//! Graph models of TensorFlow.js are converted and run by the installed ONNX Runtime.

use faceline_models::Repository;
use faceline_models::manifest::{Channels, Crop, Input, Model, Output, Role};
use faceline_models::onnx::{GraphRunner, Reference, RunnerError, Square, Tensor, TfjsModel, import};
use faceline_worker::inference::Runtime;
use serde_json::{Value, json};

use crate::client::{models_dir, picture};

/// Base64 of `SAME`, `BiasAdd` and `Relu`.
const SAME: &str = "U0FNRQ==";
const BIAS_ADD: &str = "Qmlhc0FkZA==";
const RELU: &str = "UmVsdQ==";

struct Installed;

impl GraphRunner for Installed {
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        let repository = Repository::open(&models_dir())?;
        Runtime::load(repository.runtime_library(), repository.runtime_version())?.run(model, inputs)
    }
}

fn node(op: &str, name: &str, inputs: &[&str], attributes: &Value) -> Value {
    json!({ "name": name, "op": op, "input": inputs, "attr": attributes })
}

/// Converts a graph of these nodes over a picture of `height` x `width` x `channels`, whose last node is the output.
/// Runs it on each item and on all items as a batch. Items have their channels first.
fn run(
    [height, width, channels]: [usize; 3],
    nodes: &[Value],
    weights: &[(&str, &[usize], &[f32])],
    items: &[&[f32]],
) -> Vec<Vec<f32>> {
    let size = |size: &str| json!({ "size": size });
    let dims = [size("-1"), size(&height.to_string()), size(&width.to_string()), size(&channels.to_string())];
    let mut graph = vec![node("Placeholder", "x", &[], &json!({ "shape": { "shape": { "dim": dims } } }))];
    let mut specs = Vec::new();
    let mut file = Vec::new();
    for (name, shape, values) in weights {
        graph.push(node("Const", name, &[], &json!({})));
        // The axes of a mean are the only integers.
        let integers = *name == "axes";
        specs.push(
            json!({ "name": name, "shape": shape, "dtype": if integers { "int32" } else { "float32" } }),
        );
        for value in *values {
            file.extend(if integers { (*value as i32).to_le_bytes() } else { value.to_le_bytes() });
        }
    }
    graph.extend(nodes.iter().cloned());
    let topology =
        json!({ "modelTopology": { "node": graph }, "weightsManifest": [{ "weights": specs }] }).to_string();
    let input = Input {
        name: "x".to_owned(),
        width: width as u32,
        height: height as u32,
        channels: Channels::Rgb,
        mean: vec![0.0],
        scale: vec![1.0],
        crop: Crop::Whole,
    };
    let name = nodes.last().unwrap()["name"].as_str().unwrap().to_owned();
    let output = Output::Class { name, index: 0, softmax: false };
    let model = import(TfjsModel { topology: topology.as_bytes(), weights: &file }, &input, &output).unwrap();
    let run = |data: Vec<f32>, count: usize| {
        let tensor = Tensor { name: "x".to_owned(), shape: vec![count, channels, height, width], data };
        Installed.run(&model, &[tensor]).unwrap().remove(0)
    };
    let alone: Vec<Vec<f32>> = items.iter().map(|item| run(item.to_vec(), 1).data).collect();
    assert_eq!(run(items.concat(), items.len()).data, alone.concat(), "in a batch");
    alone
}

fn convolution(op: &str, padding: &str, stride: &str) -> Value {
    let attributes =
        json!({ "strides": { "list": { "i": ["1", stride, stride, "1"] } }, "padding": { "s": padding } });
    node(op, "y", &["x", "k"], &attributes)
}

#[test]
fn a_strided_convolution_pads_an_even_picture_at_its_end() {
    let picture: Vec<f32> = (0u8..16).map(f32::from).collect();
    let kernel: (&str, &[usize], &[f32]) = ("k", &[3, 3, 1, 1], &[1.0; 9]);
    let found = run([4, 4, 1], &[convolution("Conv2D", SAME, "2")], &[kernel], &[&picture, &[1.0; 16]]);
    // Sums 0+1+2+4+5+6+8+9+10, 2+3+6+7+10+11, 8+9+10+12+13+14, 10+11+14+15; then the number of cells of each.
    assert_eq!(found, [[45.0, 39.0, 66.0, 50.0], [9.0, 6.0, 6.0, 4.0]]);
    let found = run([4, 4, 1], &[convolution("Conv2D", SAME, "1")], &[kernel], &[&[1.0; 16]]);
    assert_eq!(found[0], [4.0, 6.0, 6.0, 4.0, 6.0, 9.0, 9.0, 6.0, 6.0, 9.0, 9.0, 6.0, 4.0, 6.0, 6.0, 4.0]);
}

#[test]
fn kernels_keep_their_places() {
    // Two inputs, two outputs: 1 x first + 3 x second, and 2 x first + 4 x second.
    let kernel: (&str, &[usize], &[f32]) = ("k", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let picture = [1.0, 2.0, 10.0, 20.0];
    let found = run([1, 2, 2], &[convolution("Conv2D", SAME, "1")], &[kernel], &[&picture]);
    assert_eq!(found[0], [31.0, 62.0, 42.0, 84.0]);
    // Each input is computed separately, with two outputs.
    let depthwise = convolution("DepthwiseConv2dNative", SAME, "1");
    let found = run([1, 2, 2], &[depthwise], &[kernel], &[&picture]);
    assert_eq!(found[0], [1.0, 2.0, 2.0, 4.0, 30.0, 60.0, 40.0, 80.0]);
    // A kernel of one row distinguishes columns from rows.
    let kernel: (&str, &[usize], &[f32]) = ("k", &[1, 2, 1, 1], &[1.0, 10.0]);
    let found = run([2, 2, 1], &[convolution("Conv2D", SAME, "1")], &[kernel], &[&[1.0, 2.0, 3.0, 4.0]]);
    assert_eq!(found[0], [21.0, 2.0, 43.0, 4.0]);
}

#[test]
fn sums_products_and_bounds_are_those_of_each_channel() {
    let nodes = [
        node("Mul", "scaled", &["x", "factors"], &json!({})),
        node("AddV2", "moved", &["offsets", "scaled"], &json!({})),
        node("Relu", "relu", &["moved"], &json!({})),
        node("Minimum", "low", &["relu", "six"], &json!({})),
        node("Maximum", "bound", &["low", "one"], &json!({})),
        node("Add", "y", &["bound", "x"], &json!({})),
    ];
    let weights: [(&str, &[usize], &[f32]); 4] = [
        ("factors", &[2], &[2.0, -1.0]),
        ("offsets", &[1, 1, 1, 2], &[0.5, 4.0]),
        ("six", &[], &[6.0]),
        ("one", &[], &[1.0]),
    ];
    // 2x + 0.5 and 4 - x, between 1 and 6, and x.
    let found = run([1, 2, 2], &nodes, &weights, &[&[1.0, 5.0, 2.0, 9.0]]);
    assert_eq!(found[0], [3.5, 11.0, 4.0, 10.0]);
}

#[test]
fn rows_follow_from_pictures() {
    let nodes = [
        node("Mean", "mean", &["x", "axes"], &json!({})),
        node(
            "_FusedMatMul",
            "sum",
            &["mean", "m", "b"],
            &json!({ "fused_ops": { "list": { "s": [BIAS_ADD, RELU] } } }),
        ),
        node("MatMul", "y", &["sum", "n"], &json!({ "transpose_b": { "b": true } })),
    ];
    let weights: [(&str, &[usize], &[f32]); 4] = [
        ("axes", &[2], &[1.0, 2.0]),
        ("m", &[2, 2], &[1.0, -2.0, 3.0, 4.0]),
        ("b", &[2], &[0.5, -20.0]),
        ("n", &[1, 2], &[2.0, 7.0]),
    ];
    // Means of 1 and 2: 1 + 6 + 0.5 and 8 - 2 - 20, which is clamped; twice the first.
    let first = [0.0, 2.0, 1.0, 3.0];
    // Means of 3 and 10: 33.5 and 14.
    let second = [2.0, 4.0, 9.0, 11.0];
    let found = run([1, 2, 2], &nodes, &weights, &[&first, &second]);
    assert_eq!(found, [[15.0], [67.0 + 98.0]]);

    let nodes = [
        node("Mean", "mean", &["x", "axes"], &json!({})),
        node("Softmax", "parts", &["mean"], &json!({})),
        node("Identity", "y", &["parts"], &json!({})),
    ];
    let found = run([1, 1, 2], &nodes, &weights[..1], &[&[0.0, 3f32.ln()]]);
    assert!((found[0][0] - 0.25).abs() < 1e-6 && (found[0][1] - 0.75).abs() < 1e-6, "{found:?}");
    let sigmoid = [node("Sigmoid", "y", &["x"], &json!({}))];
    let found = run([1, 1, 2], &sigmoid, &[], &[&[0.0, -(3f32.ln())]]);
    assert!((found[0][0] - 0.5).abs() < 1e-6 && (found[0][1] - 0.25).abs() < 1e-6, "{found:?}");
}

fn age_model() -> (Vec<u8>, Model) {
    let repository = Repository::open(&models_dir()).unwrap();
    let model = repository.model(Role::Age).unwrap();
    (std::fs::read(&model.path).unwrap(), model.spec.clone())
}

fn years(parts: &[f32]) -> f32 {
    parts.iter().zip(0u8..).map(|(part, year)| part * f32::from(year)).sum()
}

#[test]
fn the_age_model_computes_what_tensorflow_js_computes() {
    let (file, spec) = age_model();
    let reference = Reference::named(spec.reference.as_deref().unwrap()).unwrap();
    let difference = reference.check(&file, &spec.input, &Installed).unwrap();
    println!("noise: largest difference {difference:.1e} of the largest output, {}", reference.made_by);
    assert!(difference < 1e-5, "{difference}");
    for Square { picture: name, left, top, output } in &reference.squares {
        let whole = image::open(picture(name)).unwrap().into_rgb8();
        let size = spec.input.width * spec.input.height;
        let mut data = Vec::with_capacity(size as usize * 3);
        for (plane, mean) in spec.input.mean.iter().enumerate() {
            for at in 0..size {
                let (x, y) = (left + at % spec.input.width, top + at / spec.input.width);
                data.push(f32::from(whole.get_pixel(x, y)[2 - plane]) - mean);
            }
        }
        let shape = vec![1, 3, spec.input.height as usize, spec.input.width as usize];
        let found = Installed.run(&file, &[Tensor { name: spec.input.name.clone(), shape, data }]).unwrap();
        let found = &found[0].data;
        let pairs = found.iter().zip(output);
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let age = (years(found) - years(output)).abs();
        println!("{name} at {left}, {top}: largest difference {largest:.1e}, of the age {age:.1e} years");
        assert!(found.len() == output.len() && largest < 1e-6 && age < 1e-3, "{largest} {age}");
    }
}
