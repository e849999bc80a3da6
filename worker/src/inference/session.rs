//! One model on one device, owned by one thread.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_models::manifest::{Channels, Model};
use ort::ep::{CUDA, ExecutionProvider, TensorRT};
use ort::session::SessionOutputs;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, TensorRef};

use super::options::cpu_options;
use super::{Device, InferenceError, Runtime};

/// A session of a model: one model on one device, ready to run.
#[derive(Debug)]
pub(crate) struct ModelSession {
    inner: ort::session::Session,
    model: String,
    /// Channels, height and width of the input.
    shape: [usize; 3],
    /// Time of all successful runs so far.
    model_time: Duration,
}

/// The outputs of a run.
pub(crate) struct ModelOutputs<'s> {
    values: SessionOutputs<'s>,
    model: &'s str,
}

impl ModelSession {
    /// Loads the file of a model and compares the graph's names and shapes with the manifest's.
    pub(crate) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        path: &Path,
        spec: &Model,
    ) -> Result<Self, InferenceError> {
        let inner = options(runtime, device, spec)?.commit_from_file(path);
        Self::checked(inner.map_err(|error| unusable(spec, error.to_string()))?, spec)
    }

    /// As [`Self::open`], for the bytes of an ONNX file.
    pub(crate) fn open_graph(
        runtime: &Arc<Runtime>,
        device: Device,
        graph: &[u8],
        spec: &Model,
    ) -> Result<Self, InferenceError> {
        let inner = options(runtime, device, spec)?.commit_from_memory(graph);
        Self::checked(inner.map_err(|error| unusable(spec, error.to_string()))?, spec)
    }

    /// Compares the graph's names and shapes with the manifest's.
    fn checked(inner: ort::session::Session, spec: &Model) -> Result<Self, InferenceError> {
        let unusable = |reason| unusable(spec, reason);
        let channels = if spec.input.channels == Channels::Grey { 1 } else { 3 };
        let shape = [channels, spec.input.height as usize, spec.input.width as usize];
        let [input] = inner.inputs() else {
            return Err(unusable("it does not have exactly one input".to_owned()));
        };
        let axes = input.dtype().tensor_shape().map(|axes| axes.to_vec()).unwrap_or_default();
        let fits = axes.len() == 4 && axes.iter().skip(1).zip(shape).all(|(&axis, n)| axis == n as i64);
        if input.name() != spec.input.name
            || input.dtype().tensor_type() != Some(TensorElementType::Float32)
            || !fits
        {
            let expected = format!("`{}`, N x {shape:?} of 32-bit floats", spec.input.name);
            return Err(unusable(format!("its input is {input:?}, the manifest says {expected}")));
        }
        for name in spec.output.names() {
            if !inner.outputs().iter().any(|output| output.name() == name) {
                return Err(unusable(format!("it has no output `{name}`")));
            }
        }
        Ok(Self { inner, model: spec.name.clone(), shape, model_time: Duration::ZERO })
    }

    /// Number of elements of one input.
    pub(crate) fn input_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Time of all successful runs so far, without the preparation of inputs and the reading of outputs.
    pub(crate) fn model_time(&self) -> Duration {
        self.model_time
    }

    /// Runs a batch. `elements` holds its inputs one after another; on the CPU they are not copied.
    pub(crate) fn run(&mut self, elements: &[f32]) -> Result<ModelOutputs<'_>, InferenceError> {
        let [channels, height, width] = self.shape;
        let batch = elements.len() / self.input_len();
        let model = self.model.as_str();
        let failed =
            |error: ort::Error| InferenceError::Run { model: model.to_owned(), reason: error.to_string() };
        let input =
            TensorRef::from_array_view(([batch, channels, height, width], elements)).map_err(failed)?;
        let started = Instant::now();
        let values = self.inner.run(ort::inputs![input]).map_err(failed)?;
        self.model_time += started.elapsed();
        Ok(ModelOutputs { values, model })
    }
}

impl ModelOutputs<'_> {
    /// All elements of an output. The items of the batch follow one another.
    pub(crate) fn get(&self, name: &str) -> Result<&[f32], InferenceError> {
        let failed = |reason: String| InferenceError::Run { model: self.model.to_owned(), reason };
        let value = self.values.get(name).ok_or_else(|| failed(format!("no output `{name}`")))?;
        let (_, elements) = value.try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
        Ok(elements)
    }
}

fn unusable(spec: &Model, reason: String) -> InferenceError {
    InferenceError::Model { model: spec.name.clone(), reason }
}

/// Options of a session on this device.
fn options(runtime: &Arc<Runtime>, device: Device, spec: &Model) -> Result<SessionBuilder, InferenceError> {
    let mut options =
        cpu_options(runtime.environment()).map_err(|error| unusable(spec, error.to_string()))?;
    register(device, &mut options)?;
    Ok(options)
}

/// Registers the device's execution provider. A missing provider is an error, because a worker that was given a
/// graphics card must not silently run on the CPU.
fn register(device: Device, options: &mut SessionBuilder) -> Result<(), InferenceError> {
    fn start<P: ExecutionProvider>(
        provider: &P,
        device: Device,
        options: &mut SessionBuilder,
    ) -> Result<(), InferenceError> {
        let failed = |error: ort::Error| InferenceError::Provider { device, reason: error.to_string() };
        if !P::is_available().map_err(failed)? {
            return Err(InferenceError::NoProvider(device));
        }
        provider.register(options).map_err(failed)
    }
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(index) => start(&CUDA::default().with_device_id(i32::from(index)), device, options),
        Device::TensorRt(index) => {
            start(&TensorRT::default().with_device_id(i32::from(index)), device, options)?;
            // CUDA runs the nodes that TensorRT does not support.
            start(&CUDA::default().with_device_id(i32::from(index)), device, options)
        }
    }
}
