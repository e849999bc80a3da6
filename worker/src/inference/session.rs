//! One model on one device, owned by one thread.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_models::manifest::{Channels, Model};
use ort::ep::{CUDA, ExecutionProvider, TensorRT};
use ort::session::SessionOutputs;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, TensorRef};

use super::{Device, InferenceError, Runtime};

/// A model that is ready to run.
#[derive(Debug)]
pub(crate) struct Session {
    inner: ort::session::Session,
    model: String,
    /// Channels, height, width.
    shape: [usize; 3],
    /// Time of all runs so far.
    busy: Duration,
}

/// What a run gave.
pub(crate) struct Outputs<'s> {
    values: SessionOutputs<'s>,
    model: &'s str,
}

impl Session {
    /// Loads the file of a model and holds the graph's names and shapes against the manifest's.
    pub(crate) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        path: &Path,
        spec: &Model,
    ) -> Result<Self, InferenceError> {
        let unusable = |reason: String| InferenceError::Model { model: spec.name.clone(), reason };
        let mut options = Self::cpu_options(runtime).map_err(|error| unusable(error.to_string()))?;
        register(device, &mut options)?;
        let inner = options.commit_from_file(path).map_err(|error| unusable(error.to_string()))?;

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
            let said = format!("`{}`, N x {shape:?} of 32-bit floats", spec.input.name);
            return Err(unusable(format!("its input is {input:?}, the manifest says {said}")));
        }
        for name in spec.output.names() {
            if !inner.outputs().iter().any(|output| output.name() == name) {
                return Err(unusable(format!("it has no output `{name}`")));
            }
        }
        Ok(Self { inner, model: spec.name.clone(), shape, busy: Duration::ZERO })
    }

    /// One thread of the caller's own, which never spins: the worker scales by its inference threads.
    pub(super) fn cpu_options(runtime: &Runtime) -> ort::Result<SessionBuilder> {
        Ok(ort::session::Session::builder(runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?)
    }

    /// Elements of one input.
    pub(crate) fn input_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Time of all runs so far, without what comes before and after them.
    pub(crate) fn busy(&self) -> Duration {
        self.busy
    }

    /// Runs a batch of inputs that lie one after another in `elements`; nothing is copied on the CPU.
    pub(crate) fn run(&mut self, elements: &[f32]) -> Result<Outputs<'_>, InferenceError> {
        let [channels, height, width] = self.shape;
        let batch = elements.len() / self.input_len();
        let model = self.model.as_str();
        let failed =
            |error: ort::Error| InferenceError::Run { model: model.to_owned(), reason: error.to_string() };
        let input =
            TensorRef::from_array_view(([batch, channels, height, width], elements)).map_err(failed)?;
        let started = Instant::now();
        let values = self.inner.run(ort::inputs![input]).map_err(failed)?;
        self.busy += started.elapsed();
        Ok(Outputs { values, model })
    }
}

impl Outputs<'_> {
    /// All elements of an output, the batch's items one after another.
    pub(crate) fn get(&self, name: &str) -> Result<&[f32], InferenceError> {
        let failed = |reason: String| InferenceError::Run { model: self.model.to_owned(), reason };
        let value = self.values.get(name).ok_or_else(|| failed(format!("no output `{name}`")))?;
        let (_, elements) = value.try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
        Ok(elements)
    }
}

/// A provider that is missing or does not start is an error: a worker that was given a graphics card must not
/// quietly run on the CPU.
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
            // Takes the nodes that TensorRT cannot.
            start(&CUDA::default().with_device_id(i32::from(index)), device, options)
        }
    }
}
