//! The envelopes: routing fields that an operator of the broker may read, and a sealed payload.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JobId;
use super::carried::CarriedPicture;
use super::result::Outcome;
use super::task::Task;
use crate::seal::{KeyRing, Purpose, SealError};

/// The envelope version that this build writes, and the only one that it reads.
pub const VERSION: u16 = 1;

/// A job in a message to a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct JobEnvelope {
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The job's id.
    pub id: JobId,
    /// The client that the job belongs to.
    pub client: String,
    /// The gateway instance that published the job.
    pub gateway: String,
    /// The job expires this many milliseconds after `published_at`.
    pub budget_ms: u64,
    /// Time of the first publish by the gateway's clock, in milliseconds since the Unix epoch.
    pub published_at: u64,
    /// W3C trace context of the request.
    pub traceparent: String,
    /// The sealed [`Task`].
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

/// An answer in a message to the gateway that published the job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReplyEnvelope {
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The id of the answered job.
    pub id: JobId,
    /// Time from the job's start to its answer, on the worker's clock, in milliseconds.
    pub service_ms: u64,
    /// The sealed [`Outcome`].
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

/// Why a message cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A build with another envelope version wrote the message.
    #[error("envelope version {0} is not known")]
    Version(u16),
    /// The bytes are not MessagePack of the expected structure.
    #[error("malformed message")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// The value cannot be encoded.
    #[error("message cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The payload cannot be opened: unknown key, or changed bytes.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The field that every version of an envelope has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u16,
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    let AnyVersion { version } = rmp_serde::from_slice(bytes)?;
    if version == VERSION { Ok(rmp_serde::from_slice(bytes)?) } else { Err(MessageError::Version(version)) }
}

fn associated_data(kind: &str, id: JobId) -> String {
    format!("{kind}:{id}")
}

/// The routing fields of a job.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The job's id.
    pub id: JobId,
    /// The client that the job belongs to.
    pub client: String,
    /// The gateway instance that publishes the job.
    pub gateway: String,
    /// The job expires this long after its publish.
    pub budget: Duration,
    /// W3C trace context of the request.
    pub traceparent: String,
}

impl JobEnvelope {
    /// Seals a task and sets `published_at` to the present time.
    ///
    /// # Errors
    /// [`MessageError::Encode`] or [`MessageError::Seal`], neither of which occurs in practice.
    pub fn seal(routing: Routing, task: &Task<CarriedPicture>, ring: &KeyRing) -> Result<Self, MessageError> {
        let Routing { id, client, gateway, budget, traceparent } = routing;
        let payload = ring.seal(
            Purpose::Job,
            associated_data(&client, id).as_bytes(),
            &rmp_serde::to_vec_named(task)?,
        )?;
        let budget_ms = millis(budget);
        Ok(Self {
            version: VERSION,
            id,
            client,
            gateway,
            budget_ms,
            published_at: now_ms(),
            traceparent,
            payload,
        })
    }

    /// Opens the task.
    ///
    /// # Errors
    /// [`MessageError::Seal`] for an unknown key or changed bytes, [`MessageError::Malformed`] if the payload is not a
    /// task.
    pub fn open(&self, ring: &KeyRing) -> Result<Task<CarriedPicture>, MessageError> {
        let plain =
            ring.open(Purpose::Job, associated_data(&self.client, self.id).as_bytes(), &self.payload)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }

    /// Encodes the envelope.
    ///
    /// # Errors
    /// [`MessageError::Encode`], which does not occur in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Decodes an envelope of this version.
    ///
    /// # Errors
    /// [`MessageError::Version`] or [`MessageError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        decode(bytes)
    }

    /// Time since the publish by this machine's clock; zero if the publisher's clock is ahead.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.published_at))
    }

    /// The job's time budget.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

impl ReplyEnvelope {
    /// Seals the outcome of a job; `service` is the worker's time.
    ///
    /// # Errors
    /// [`MessageError::Encode`] or [`MessageError::Seal`], neither of which occurs in practice.
    pub fn seal(
        id: JobId,
        outcome: &Outcome,
        service: Duration,
        ring: &KeyRing,
    ) -> Result<Self, MessageError> {
        let payload = ring.seal(
            Purpose::Reply,
            associated_data("", id).as_bytes(),
            &rmp_serde::to_vec_named(outcome)?,
        )?;
        Ok(Self { version: VERSION, id, service_ms: millis(service), payload })
    }

    /// Opens the outcome.
    ///
    /// # Errors
    /// [`MessageError::Seal`] for an unknown key or changed bytes, [`MessageError::Malformed`] if the payload is not an
    /// outcome.
    pub fn open(&self, ring: &KeyRing) -> Result<Outcome, MessageError> {
        let plain = ring.open(Purpose::Reply, associated_data("", self.id).as_bytes(), &self.payload)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }

    /// Encodes the envelope.
    ///
    /// # Errors
    /// [`MessageError::Encode`], which does not occur in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Decodes an envelope of this version.
    ///
    /// # Errors
    /// [`MessageError::Version`] or [`MessageError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        decode(bytes)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::face::ImageType;
    use crate::job::{Coding, JobFailure, Subject};

    fn routing() -> Routing {
        Routing {
            id: Uuid::now_v7(),
            client: "bank".into(),
            gateway: "g1".into(),
            budget: Duration::from_secs(30),
            traceparent: String::new(),
        }
    }

    fn coding(bytes: &'static [u8]) -> Task<CarriedPicture> {
        Task::Code(Coding {
            picture: CarriedPicture::Inline(Bytes::from_static(bytes)),
            image_type: ImageType::Selfie,
            rotate: false,
        })
    }

    #[test]
    fn a_job_comes_back_as_it_was_and_is_not_readable_on_the_way() {
        let ring = KeyRing::generate().unwrap();
        let picture = b"a picture that nobody else may see";
        let envelope = JobEnvelope::seal(routing(), &coding(picture), &ring).unwrap();
        let bytes = envelope.encode().unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"a picture"));

        let Task::Code(coding) = JobEnvelope::decode(&bytes).unwrap().open(&ring).unwrap() else {
            panic!("another kind of job")
        };
        assert!(matches!(coding.picture, CarriedPicture::Inline(bytes) if bytes.as_ref() == picture));
    }

    #[test]
    fn a_payload_does_not_open_under_another_id_or_client() {
        let ring = KeyRing::generate().unwrap();
        let envelope = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap();
        let moved = JobEnvelope { id: Uuid::now_v7(), ..envelope.clone() };
        assert!(moved.open(&ring).is_err());
        let stolen = JobEnvelope { client: "other".into(), ..envelope };
        assert!(stolen.open(&ring).is_err());
    }

    #[test]
    fn another_version_is_named() {
        let ring = KeyRing::generate().unwrap();
        let envelope = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap();
        let bytes = JobEnvelope { version: 9, ..envelope }.encode().unwrap();
        assert!(matches!(JobEnvelope::decode(&bytes), Err(MessageError::Version(9))));
    }

    #[test]
    fn a_failure_travels_as_well() {
        let ring = KeyRing::generate().unwrap();
        let outcome = Err(JobFailure::SeveralFaces { subject: Subject::Candidate });
        let reply = ReplyEnvelope::seal(Uuid::now_v7(), &outcome, Duration::from_millis(7), &ring).unwrap();
        let reply = ReplyEnvelope::decode(&reply.encode().unwrap()).unwrap();
        assert_eq!(reply.service_ms, 7);
        assert_eq!(reply.open(&ring).unwrap(), outcome);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_and_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(JobEnvelope::decode(&bytes).is_err());
            prop_assert!(ReplyEnvelope::decode(&bytes).is_err());
        }
    }
}
