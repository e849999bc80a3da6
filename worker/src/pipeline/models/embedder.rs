//! The embedding network: computes the vector of an aligned face.

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Affine, Chip, Kernel, Picture, Sampler};

/// Level of the pixels outside the picture: black, as in the pictures that such models are trained on.
const OUTSIDE_LEVEL: u8 = 0;

/// The embedding network.
pub(crate) struct Embedder {
    network: Network,
    output: String,
    dimensions: usize,
    /// Positions of the five landmarks in the aligned chip, in its continuous coordinates.
    template: [[f32; 2]; 5],
    /// Factor from the length of this network's vectors to that of the shipped network's.
    length_scale: f32,
}

/// The vector of a face.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaceEmbedding {
    /// L2-normalised.
    pub(crate) vector: Vec<f32>,
    /// Length before normalisation, times the manifest's `length_scale`.
    pub(crate) norm: f32,
}

impl FaceModel for Embedder {
    const ROLE: Role = Role::Embedding;
    const FORM: &'static str = "an embedding model takes a face aligned by five points and gives a vector";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (Output::Embedding { name, dimensions, length_scale, .. }, Crop::FivePoints { template }) =
            (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        Some(Self {
            network,
            output: name.clone(),
            dimensions: *dimensions,
            template: *template,
            length_scale: *length_scale,
        })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Embedder {
    /// Cuts out a face and aligns it by `five` landmarks, in received pixels after EXIF orientation. The kernel is
    /// cubic: with a linear one, LFW's FNMR at an FMR of 1e-4 is up to 0.2 percentage points higher.
    pub(crate) fn align(&self, sampler: &mut Sampler, picture: &Picture, five: &[[f32; 2]; 5]) -> Chip {
        let mut chip = self.network.chip();
        let to_upright = Affine::similarity(five, &self.template).inverse();
        sampler.cut(picture, &to_upright, OUTSIDE_LEVEL, Kernel::Cubic, &mut chip);
        chip
    }

    /// Embeds aligned faces in one batch.
    pub(crate) fn embed(&mut self, chips: &[&Chip]) -> Result<Vec<FaceEmbedding>, InferenceError> {
        if chips.is_empty() {
            return Ok(Vec::new());
        }
        self.network.begin_batch();
        for chip in chips {
            self.network.push(chip);
        }
        let outputs = self.network.run()?;
        let elements = outputs.get(&self.output)?;
        Ok(elements
            .chunks_exact(self.dimensions)
            .map(|raw| FaceEmbedding::new(raw, self.length_scale))
            .collect())
    }
}

impl FaceEmbedding {
    fn new(raw: &[f32], length_scale: f32) -> Self {
        let norm = raw.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32;
        let vector = raw.iter().map(|x| if norm > 0.0 { x / norm } else { 0.0 }).collect();
        Self { vector, norm: norm * length_scale }
    }
}
