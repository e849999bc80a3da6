//! Compares a face of a session with the other faces of the session.

use std::sync::Arc;

use faceline_gateway_store::sessions::SessionName;
use faceline_shared::face::Embedding;
use faceline_shared::job::{JobResult, Ranking, Task};
use faceline_shared::score::Far;
use uuid::Uuid;

use crate::families::biometric::answer::{MatchAnswer, MatchedFace};
use crate::families::biometric::failure::Parts;
use crate::families::biometric::services::{BiometricServices, Json};
use crate::fault::Fault;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;
use crate::sessions::SessionFace;
use crate::timestamp::Timestamp;

/// Score and false acceptance rate (in percent) of a candidate without an embedding of the current algorithm.
const NOT_COMPARED: (f64, f64) = (0.0, 100.0);

impl BiometricServices {
    /// Compares the face `id` of a session with all other faces of the session. The best match comes first.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session or the face does not exist, [`Fault::Invalid`] if no face was found in the
    /// face's picture, [`Fault::Busy`] if the service is overloaded, [`Fault::DeadlineRunning`] if the job took too
    /// long.
    pub async fn matches(
        &self,
        name: &SessionName,
        id: Uuid,
        context: RequestContext,
    ) -> Result<Json, Fault> {
        let handle = self.sessions.open(name).await?;
        let mut faces = self.sessions.faces(name).await?;
        let Some(at) = faces.iter().position(|(other, _)| *other == id) else {
            return Err(Fault::NotFound("Face not found".into()));
        };
        let (_, reference_face) = faces.remove(at);
        let Some(embedding) = reference_face.embedding else {
            return Err(Fault::Invalid("the reference face has no template".into()));
        };
        let required = self.algorithm.require(&embedding);
        required.map_err(|what| Fault::Invalid(format!("the reference face: {what}")))?;
        // After a change of the algorithm, older faces cannot be compared.
        for (_, face) in &mut faces {
            face.embedding =
                face.embedding.take().filter(|embedding| self.algorithm.require(embedding).is_ok());
        }
        let scores = handle.run(self.rank(embedding, &faces, context)).await?;

        let shown = MatchedFace::kept(id, &reference_face.description, &self.algorithm);
        let created = Timestamp::now();
        let mut matches: Vec<MatchAnswer> = faces
            .iter()
            .zip(scores)
            .map(|((id, face), (score, false_acceptance_rate))| MatchAnswer {
                reference: shown.clone(),
                candidate: MatchedFace::kept(*id, &face.description, &self.algorithm),
                score,
                false_acceptance_rate,
                correlation_id: handle.session.correlation_id.clone(),
                evidence_id: handle.session.evidence_id.clone(),
                created,
                expires: Some(handle.session.expires),
            })
            .collect();
        // The sort is stable: of two faces with the same score, the one that was added first stays first.
        matches.sort_by(|one, other| other.score.total_cmp(&one.score));
        self.signed_list(matches).await
    }

    /// Compares `reference` with all faces on a worker. Returns score and false acceptance rate (in percent) in the
    /// order of `faces`.
    async fn rank(
        &self,
        reference: Embedding,
        faces: &[(Uuid, SessionFace)],
        context: RequestContext,
    ) -> Result<Vec<(f64, f64)>, Fault> {
        let candidates: Vec<Embedding> =
            faces.iter().filter_map(|(_, face)| face.embedding.clone()).collect();
        let compared = candidates.len();
        let rates = if candidates.is_empty() {
            Vec::new()
        } else {
            let task = Task::Rank(Box::new(Ranking { reference, candidates }));
            let JobResult::Ranked(rates) = self.run(task, &context, &Parts::default()).await? else {
                return Err(unexpected_result());
            };
            rates
        };
        if rates.len() != compared {
            return Err(unexpected_result());
        }
        let mut rates = rates.into_iter();
        let score = |far: Far| (far.score(), far.percentage());
        let scores = faces.iter().map(|(_, face)| {
            let rate = face.embedding.as_ref().and_then(|_| rates.next());
            rate.map_or(NOT_COMPARED, score)
        });
        Ok(scores.collect())
    }

    /// Signs each match on a blocking thread. With RSA a full session takes tens of milliseconds, which would delay
    /// the other requests of an async thread.
    async fn signed_list(&self, matches: Vec<MatchAnswer>) -> Result<Json, Fault> {
        let signer = Arc::clone(&self.signer);
        let signed = tokio::task::spawn_blocking(move || signer.signed_list(&matches)).await;
        let signed = signed.map_err(|error| error.to_string());
        signed.and_then(|signed| signed.map_err(|error| error.to_string())).map_err(|error| {
            tracing::error!(error, "matches cannot be signed");
            Fault::Internal
        })
    }
}
