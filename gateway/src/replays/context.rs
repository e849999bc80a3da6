//! The context of a replay's job: the session's name, sealed for the job. The gateway that gets the result opens it.

use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::JobId;
use faceline_shared::seal::{KeyRing, Purpose, SealError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Reason why a context cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContextError {
    /// It cannot be sealed, or does not open for this job.
    #[error("the job's context: {0}")]
    Seal(#[from] SealError),
    /// It cannot be encoded.
    #[error("the job's context cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// It opens, but this build does not know its form: a newer build wrote it.
    #[error("the job's context is of a newer form: {0}")]
    Newer(#[from] rmp_serde::decode::Error),
}

#[derive(Deserialize, Serialize)]
struct JobContext {
    client: String,
    session: Uuid,
}

/// Seals the name of a session for one of its jobs.
pub(super) fn seal(ring: &KeyRing, job: JobId, name: &SessionName) -> Result<Vec<u8>, ContextError> {
    let context = JobContext { client: name.client.clone(), session: name.id };
    Ok(ring.seal(
        Purpose::JobContext,
        associated_data(job).as_bytes(),
        &rmp_serde::to_vec_named(&context)?,
    )?)
}

/// Opens what [`seal`] made for the job.
pub(super) fn open(ring: &KeyRing, job: JobId, sealed: &[u8]) -> Result<SessionName, ContextError> {
    let plain = ring.open(Purpose::JobContext, associated_data(job).as_bytes(), sealed)?;
    let JobContext { client, session } = rmp_serde::from_slice(&plain)?;
    Ok(SessionName { client, id: session })
}

fn associated_data(job: JobId) -> String {
    format!("job:{job}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_opens_for_its_job_only() {
        let ring = KeyRing::generate().unwrap();
        let name = SessionName { client: "bank".into(), id: Uuid::new_v4() };
        let (job, other) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = seal(&ring, job, &name).unwrap();
        assert_eq!(open(&ring, job, &sealed).unwrap(), name);
        assert!(matches!(open(&ring, other, &sealed), Err(ContextError::Seal(SealError::Forged))));
        let another_ring = KeyRing::generate().unwrap();
        assert!(matches!(
            open(&another_ring, job, &sealed),
            Err(ContextError::Seal(SealError::UnknownKey(_)))
        ));
        assert!(!sealed.windows(4).any(|window| window == b"bank"));
    }
}
