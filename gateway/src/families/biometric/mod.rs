//! Biometric Services, without its transport: each operation takes what a caller sent and gives the JSON text to answer.

mod ages;
mod answer;
mod direct;
mod failure;
mod matches;
mod reference;
mod request;
pub mod schema;
mod sessions;
pub mod template;

use std::sync::Arc;

use crate::families::biometric::template::TemplateCodec;
use crate::fault::Fault;
use bytes::Bytes;
use faceline_shared::face::{CodedFace, Embedding};
use faceline_shared::job::JobResult;
use faceline_shared::settings::Settings;
use serde::Serialize;

pub use self::answer::Capabilities;
use self::failure::Parts;
pub(crate) use self::request::ORIGINAL_MODES;
pub use self::request::{AGES, FACES, MATCH, MATCH_IMAGES, SESSION, THRESHOLDS};
pub use self::sessions::Picture;
use crate::families::json;
use crate::jobs::WorkerClient;
use crate::request::RequestContext;
use crate::sessions::Sessions;
use crate::signing::Signer;
use faceline_shared::job::Task;

/// The algorithm that faces are coded with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// Its name: the `mode` of answers.
    pub name: String,
    /// The `templateVersion` of answers.
    pub version: u32,
}

impl Algorithm {
    /// Checks that an embedding is of this algorithm and version.
    ///
    /// # Errors
    /// Words for the caller that name both.
    fn require(&self, embedding: &Embedding) -> Result<(), String> {
        if embedding.algorithm == self.name && embedding.version == self.version {
            return Ok(());
        }
        let named = |name: &str, version: u32| format!("{name} version {version}");
        let theirs = named(&embedding.algorithm, embedding.version);
        Err(reference::other_algorithm(&theirs, &named(&self.name, self.version)))
    }
}

/// JSON text, with its signature where it has one.
pub type Json = Vec<u8>;

/// The operations.
pub struct BiometricServices {
    workers: WorkerClient,
    templates: TemplateCodec,
    sessions: Arc<Sessions>,
    signer: Arc<Signer>,
    algorithm: Algorithm,
}

impl BiometricServices {
    /// Operations over the workers behind `workers`.
    #[must_use]
    pub fn new(
        config: &Settings,
        workers: WorkerClient,
        templates: TemplateCodec,
        sessions: Arc<Sessions>,
        signer: Arc<Signer>,
    ) -> Self {
        let algorithm =
            Algorithm { name: config.face.algorithm.clone(), version: config.face.template_version };
        Self { workers, templates, sessions, signer, algorithm }
    }

    /// What the service can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { current_mode: [&self.algorithm.name], version: env!("CARGO_PKG_VERSION") }
    }

    /// What signs answers.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    async fn run(
        &self,
        task: Task<Bytes>,
        context: &RequestContext,
        parts: &Parts,
    ) -> Result<JobResult, Fault> {
        self.workers.run(task, context).await?.map_err(|failure| failure::fault(&failure, parts))
    }

    fn template(&self, face: &CodedFace) -> Result<String, Fault> {
        self.templates.encode(&face.embedding).map_err(|error| {
            tracing::error!(%error, "a template cannot be written");
            Fault::Internal
        })
    }

    fn signed(&self, answer: &impl Serialize) -> Result<Json, Fault> {
        self.signer.signed(answer).map_err(|error| {
            tracing::error!(%error, "an answer cannot be signed");
            Fault::Internal
        })
    }

    /// An answer whose caller may have done without a signature.
    fn signed_if(&self, signed: bool, answer: &impl Serialize) -> Result<Json, Fault> {
        if signed {
            return self.signed(answer);
        }
        json::answer(answer)
    }
}
