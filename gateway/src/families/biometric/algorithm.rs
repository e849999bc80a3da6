//! The algorithm that computes embeddings of faces, and the refusal of templates of another algorithm.

use faceline_shared::face::Embedding;
use faceline_shared::settings::Settings;

/// The algorithm that computes embeddings of faces on this installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// The name of the algorithm: the `mode` of answers.
    pub name: String,
    /// The version of its templates: the `templateVersion` of answers.
    pub version: u32,
}

impl Algorithm {
    /// The algorithm of the workers of this installation.
    pub(super) fn of(settings: &Settings) -> Self {
        Self { name: settings.face.algorithm.clone(), version: settings.face.template_version }
    }

    /// Checks that an embedding is of this algorithm and version.
    ///
    /// # Errors
    /// A text for the caller that names both algorithms, if they differ.
    pub(super) fn require(&self, embedding: &Embedding) -> Result<(), String> {
        if embedding.algorithm == self.name && embedding.version == self.version {
            return Ok(());
        }
        let named = |name: &str, version: u32| format!("{name} version {version}");
        let theirs = named(&embedding.algorithm, embedding.version);
        Err(other_algorithm(&theirs, &named(&self.name, self.version)))
    }
}

/// The text for the caller of a template that this installation cannot compare.
pub(super) fn other_algorithm(theirs: &str, ours: &str) -> String {
    format!("the template was made by {theirs}, and this service uses {ours}")
}
