//! The proof that a converted model computes what the original does: both run on the same random input.

use prost::Message;

use super::proto::{ModelProto, ValueInfoProto};
use crate::manifest::Input;
use crate::split_mix::SplitMix64;

/// Largest difference that counts as rounding, relative to the largest value of the output.
const TOLERANCE: f32 = 1e-5;

/// Faces in the batch whose results are compared with those of single faces.
const BATCH: usize = 3;

/// An array with a name, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name of the graph's input or output.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values; their number is the product of the axes.
    pub data: Vec<f32>,
}

/// The error of a runner.
pub type RunnerError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a graph. The programs implement it with the worker's ONNX Runtime.
pub trait GraphRunner {
    /// All outputs of `model` (the bytes of an ONNX file) for `inputs`, in the graph's order.
    ///
    /// # Errors
    /// The graph cannot be loaded or run.
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError>;
}

/// The differences that a proof found, each relative to the largest value of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    /// Largest difference for a single face.
    pub single: f32,
    /// Largest difference of a row of a batch from the original's result for that face; 0 where the batch axis is
    /// fixed.
    pub batch: f32,
    /// Largest difference from the outputs of another implementation; `None` where the model has no such table.
    pub reference: Option<f32>,
}

/// Reasons to refuse a conversion.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The original or the converted graph does not run.
    #[error("the {which} graph does not run")]
    Run {
        /// The graph that failed: the original or the converted one.
        which: &'static str,
        /// The runtime's reason.
        source: RunnerError,
    },
    /// The table of reference outputs is missing or has another form.
    #[error("the reference outputs: {0}")]
    Reference(String),
    /// A graph's input has no fixed shape, so it cannot be filled.
    #[error("input `{0}` has no fixed shape behind its batch axis")]
    Input(String),
    /// Names, number or shapes of outputs differ.
    #[error("the outputs are not the same: {0}")]
    Outputs(String),
    /// The results differ.
    #[error("output `{output}` differs by {difference:e} of its largest value, {limit:e} is allowed")]
    Differs {
        /// Name of the output.
        output: String,
        /// Relative difference.
        difference: f32,
        /// The difference that is allowed.
        limit: f32,
    },
}

/// Compares `converted` with `original` on seeded random input in the range that `input` describes. It compares the
/// results for single faces. If the batch axis is a parameter, it also compares the results of a batch with those for
/// single faces.
///
/// # Errors
/// A graph does not run, or the results differ by more than rounding (1e-5 of the output's largest value).
pub fn conversion_proof(
    original: &[u8],
    converted: &[u8],
    input: &Input,
    runner: &dyn GraphRunner,
) -> Result<Proof, ProofError> {
    let faces: Vec<Vec<Tensor>> =
        (0..BATCH as u64).map(|seed| random_face(original, input, seed, 1)).collect::<Result<_, _>>()?;
    let expected = faces
        .iter()
        .map(|face| {
            runner.run(original, face).map_err(|source| ProofError::Run { which: "original", source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let run_converted = |inputs: &[Tensor]| {
        runner.run(converted, inputs).map_err(|source| ProofError::Run { which: "converted", source })
    };

    let mut proof = Proof { single: 0.0, batch: 0.0, reference: None };
    for (face, expected) in faces.iter().zip(&expected) {
        proof.single = proof.single.max(compare(expected, &run_converted(face)?, TOLERANCE)?);
    }
    if has_open_batch(converted) {
        let rows = split(&run_converted(&stack(&faces))?)?;
        for (expected, row) in expected.iter().zip(&rows) {
            proof.batch = proof.batch.max(compare(expected, row, TOLERANCE)?);
        }
    }
    Ok(proof)
}

fn graph_inputs(model: &[u8]) -> Vec<ValueInfoProto> {
    let Some(graph) = ModelProto::decode(model).ok().and_then(|model| model.graph) else {
        return Vec::new();
    };
    let is_constant =
        |value: &ValueInfoProto| graph.initializer.iter().any(|constant| constant.name == value.name);
    graph.input.iter().filter(|value| !is_constant(value)).cloned().collect()
}

fn dims(value: &ValueInfoProto) -> Vec<Option<usize>> {
    let shape = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()?.shape.as_ref());
    let dims = shape.map(|shape| shape.dim.as_slice()).unwrap_or_default();
    dims.iter().map(|dim| dim.dim_value.and_then(|value| usize::try_from(value).ok())).collect()
}

fn has_open_batch(model: &[u8]) -> bool {
    graph_inputs(model).iter().all(|value| dims(value).first() == Some(&None))
}

/// The input of one face: noise in which each square of `block` pixels a side, in the last two axes, has one value.
pub(super) fn random_face(
    model: &[u8],
    input: &Input,
    seed: u64,
    block: usize,
) -> Result<Vec<Tensor>, ProofError> {
    let mut random = SplitMix64::new(seed);
    let (low, high) = input.range();
    graph_inputs(model)
        .iter()
        .map(|value| {
            let name = value.name.clone().unwrap_or_default();
            let mut shape = vec![1];
            for dim in dims(value).iter().skip(1) {
                shape.push(dim.ok_or_else(|| ProofError::Input(name.clone()))?);
            }
            let data = noise(&shape, block.max(1), || low + (high - low) * random.unit_f32());
            Ok(Tensor { name, shape, data })
        })
        .collect()
}

fn noise(shape: &[usize], block: usize, mut draw: impl FnMut() -> f32) -> Vec<f32> {
    let [planes @ .., height, width] = shape else {
        return (0..shape.iter().product()).map(|_| draw()).collect();
    };
    let columns = width.div_ceil(block);
    let mut data = Vec::with_capacity(shape.iter().product());
    for _ in 0..planes.iter().product() {
        let cells: Vec<f32> = (0..height.div_ceil(block) * columns).map(|_| draw()).collect();
        for y in 0..*height {
            data.extend((0..*width).map(|x| cells[y / block * columns + x / block]));
        }
    }
    data
}

fn stack(faces: &[Vec<Tensor>]) -> Vec<Tensor> {
    let mut batch = faces[0].clone();
    for face in &faces[1..] {
        for (stacked, one) in batch.iter_mut().zip(face) {
            stacked.shape[0] += one.shape[0];
            stacked.data.extend_from_slice(&one.data);
        }
    }
    batch
}

fn split(batch: &[Tensor]) -> Result<Vec<Vec<Tensor>>, ProofError> {
    let mut rows = vec![Vec::new(); BATCH];
    for tensor in batch {
        if tensor.shape.first() != Some(&BATCH) {
            return Err(ProofError::Outputs(format!(
                "`{}` has shape {:?} in a batch",
                tensor.name, tensor.shape
            )));
        }
        let mut shape = tensor.shape.clone();
        shape[0] = 1;
        for (row, data) in rows.iter_mut().zip(tensor.data.chunks_exact(tensor.data.len() / BATCH)) {
            row.push(Tensor { name: tensor.name.clone(), shape: shape.clone(), data: data.to_vec() });
        }
    }
    Ok(rows)
}

/// The largest difference relative to the largest value of its output.
pub(super) fn compare(expected: &[Tensor], found: &[Tensor], tolerance: f32) -> Result<f32, ProofError> {
    if expected.len() != found.len() {
        return Err(ProofError::Outputs(format!("{} instead of {}", found.len(), expected.len())));
    }
    let mut worst = 0.0f32;
    for (expected, found) in expected.iter().zip(found) {
        if (&expected.name, &expected.shape) != (&found.name, &found.shape) {
            return Err(ProofError::Outputs(format!(
                "`{}` {:?} instead of `{}` {:?}",
                found.name, found.shape, expected.name, expected.shape
            )));
        }
        let scale = expected.data.iter().fold(f32::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
        let pairs = expected.data.iter().zip(&found.data);
        // `f32::max` would ignore a NaN.
        let difference = pairs
            .map(|(a, b)| (a - b).abs())
            .fold(0.0f32, |d, one| if one > d || one.is_nan() { one } else { d });
        let difference = difference / scale;
        if difference.is_nan() || difference > tolerance {
            return Err(ProofError::Differs { output: expected.name.clone(), difference, limit: tolerance });
        }
        worst = worst.max(difference);
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::super::test_model;
    use super::*;
    use crate::manifest::{Conversion, Manifest, Role};
    use crate::onnx::convert;

    /// Doubles its input. `wrong` is a place in the converted graph's output, and the number that is added there.
    struct Double {
        wrong: Option<(usize, f32)>,
        keeps_rows: bool,
    }

    impl GraphRunner for Double {
        fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
            let mut output = inputs[0].clone();
            output.name = "output".to_owned();
            output.data.iter_mut().for_each(|value| *value *= 2.0);
            if let (true, Some((place, wrong))) = (has_open_batch(model), self.wrong)
                && let Some(value) = output.data.get_mut(place)
            {
                *value += wrong;
            }
            if !self.keeps_rows {
                output.shape.swap(0, 1);
            }
            Ok(vec![output])
        }
    }

    fn prove(runner: &Double) -> Result<Proof, ProofError> {
        let input = Manifest::default_manifest().unwrap().model(Role::Detector).unwrap().input.clone();
        let original = test_model::identity(&[1, 3, 2, 2]);
        let converted = convert(&original, &[Conversion::DynamicBatch]).unwrap();
        conversion_proof(&original, &converted, &input, runner)
    }

    #[test]
    fn equal_graphs_are_proven() {
        let proof = prove(&Double { wrong: None, keeps_rows: true }).unwrap();
        assert_eq!(proof, Proof { single: 0.0, batch: 0.0, reference: None });
    }

    #[test]
    fn a_difference_in_one_value_is_found_wherever_it_is() {
        // A face has 12 values: 11 is the last one of a single face, 35 the last one of the batch.
        for place in [0, 11, 12, 35] {
            let error = prove(&Double { wrong: Some((place, 1e-3)), keeps_rows: true }).unwrap_err();
            assert!(matches!(error, ProofError::Differs { .. }), "{error}");
        }
        assert!(prove(&Double { wrong: Some((36, 1e-3)), keeps_rows: true }).is_ok());
        let error = prove(&Double { wrong: Some((3, f32::NAN)), keeps_rows: true }).unwrap_err();
        assert!(matches!(error, ProofError::Differs { difference, .. } if difference.is_nan()));
    }

    #[test]
    fn outputs_of_another_shape_are_found() {
        assert!(matches!(prove(&Double { wrong: None, keeps_rows: false }), Err(ProofError::Outputs(_))));
    }

    #[test]
    fn random_input_is_repeatable_and_in_range() {
        let input = Manifest::default_manifest().unwrap().model(Role::Liveness).unwrap().input.clone();
        let model = test_model::identity(&[1, 3, 64, 64]);
        let face = random_face(&model, &input, 1, 1).unwrap();
        assert_eq!(face, random_face(&model, &input, 1, 1).unwrap());
        assert_ne!(face, random_face(&model, &input, 2, 1).unwrap());
        let values = &face[0].data;
        assert!(values.iter().all(|value| (0.0..255.0).contains(value)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((120.0..135.0).contains(&mean), "{mean}");
    }

    #[test]
    fn noise_comes_in_squares() {
        let mut next = 0.0;
        let data = noise(&[1, 2, 3, 4], 2, || {
            next += 1.0;
            next
        });
        let first = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0];
        assert_eq!(data[..12], first);
        assert_eq!(data[12..], first.map(|value| value + 4.0));
    }
}
