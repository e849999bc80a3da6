//! The dependencies of all operations: workers, templates, sessions, signer.

use std::sync::Arc;

use bytes::Bytes;
use faceline_shared::job::{CodedPicture, JobResult, Task};
use faceline_shared::settings::Settings;
use serde::Serialize;

use super::algorithm::Algorithm;
use super::answer::Capabilities;
use super::face_facts::FaceFacts;
use super::failure::{self, Parts};
use super::request::FaceRequest;
use super::template::TemplateCodec;
use crate::families::json;
use crate::fault::Fault;
use crate::jobs::WorkerClient;
use crate::replays::Replays;
use crate::request::RequestContext;
use crate::sessions::Sessions;
use crate::signing::Signer;

/// The JSON text of an answer, with its `signature` member if it is signed.
pub type Json = Vec<u8>;

/// The operations of Biometric Services.
pub struct BiometricServices {
    workers: WorkerClient,
    pub(super) templates: TemplateCodec,
    pub(super) sessions: Arc<Sessions>,
    pub(super) replays: Arc<Replays>,
    pub(super) signer: Arc<Signer>,
    pub(super) algorithm: Algorithm,
}

impl BiometricServices {
    /// The operations, with the workers that `workers` reaches.
    #[must_use]
    pub fn new(
        config: &Settings,
        workers: WorkerClient,
        templates: TemplateCodec,
        sessions: Arc<Sessions>,
        replays: Arc<Replays>,
        signer: Arc<Signer>,
    ) -> Self {
        Self { workers, templates, sessions, replays, signer, algorithm: Algorithm::of(config) }
    }

    /// The algorithm and the version of the service.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { current_mode: [&self.algorithm.name], version: env!("CARGO_PKG_VERSION") }
    }

    /// The replays of sessions.
    #[must_use]
    pub fn replays(&self) -> &Arc<Replays> {
        &self.replays
    }

    /// The signer of answers.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Runs `task` on a worker. `parts` names the parts of the request in the text of a refusal.
    pub(super) async fn run(
        &self,
        task: Task<Bytes>,
        context: &RequestContext,
        parts: &Parts,
    ) -> Result<JobResult, Fault> {
        self.workers.run(task, context).await?.map_err(|failure| failure::fault(&failure, parts))
    }

    /// Seals the face that a worker found in the picture of `request` into a template for the caller; `None` if there
    /// is no face.
    pub(super) fn template(
        &self,
        request: &FaceRequest,
        coded: &CodedPicture,
    ) -> Result<Option<String>, Fault> {
        let Some(face) = &coded.face else { return Ok(None) };
        let facts = FaceFacts::new(request, &coded.digest, face);
        let template = self.templates.encode(&face.embedding, Some(&facts));
        template.map(Some).map_err(|error| {
            tracing::error!(%error, "a template cannot be written");
            Fault::Internal
        })
    }

    /// Writes and signs an answer.
    pub(super) fn signed(&self, answer: &impl Serialize) -> Result<Json, Fault> {
        self.signer.signed(answer).map_err(|error| {
            tracing::error!(%error, "an answer cannot be signed");
            Fault::Internal
        })
    }

    /// Writes and signs an answer with an image. The signature does not contain the image a second time.
    pub(super) fn signed_detached(&self, answer: &impl Serialize) -> Result<Json, Fault> {
        self.signer.detached(answer).map_err(|error| {
            tracing::error!(%error, "an answer cannot be signed");
            Fault::Internal
        })
    }

    /// Writes an answer, and signs it if `signed` is set.
    pub(super) fn signed_if(&self, signed: bool, answer: &impl Serialize) -> Result<Json, Fault> {
        if signed {
            return self.signed(answer);
        }
        json::answer(answer)
    }
}
