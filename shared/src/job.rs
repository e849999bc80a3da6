//! What gateway and worker say to each other: the envelope, the job in it, and the result.
//!
//! MessagePack with named fields, so that a field can be added without a new [`VERSION`]. The envelope's
//! routing fields are readable; the payload is sealed, so that no picture and no template lies in a broker's files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::face::{CodedFace, Embedding, ImageType};
use crate::liveness::{Examination, Examined};
use crate::score::Far;
use crate::seal::{KeyRing, Purpose, SealError};

/// Version of the envelope that this build writes; it reads no other.
pub const VERSION: u16 = 1;

/// Identifies a job everywhere: in the broker, in logs, in the blob store. Version 7, so it sorts by time.
pub type JobId = Uuid;

/// A job on its way to a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct JobEnvelope {
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The job.
    pub id: JobId,
    /// Whose job it is.
    pub client: String,
    /// Instance of the gateway that published it.
    pub gateway: String,
    /// Time that the job may take from `published_at` on, in milliseconds.
    pub budget_ms: u64,
    /// The gateway's clock when the job was first published, milliseconds since the Unix epoch.
    pub published_at: u64,
    /// W3C trace context of the request.
    pub traceparent: String,
    /// The sealed [`Job`].
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

/// What a worker is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Job {
    /// Describe the face in a picture.
    Code(Coding),
    /// Compare two faces.
    Match(Box<Match>),
    /// Compare a face with many.
    Rank(Box<Ranking>),
    /// Estimate the age of the person in a picture.
    EstimateAge(Coding),
    /// Make a picture a JPEG.
    Compress(Picture),
    /// Say whether live pictures show a living person, and whether that is the one in a photo.
    Examine(Box<Examination<Picture>>),
}

/// A comparison of one template with many.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ranking {
    /// One side.
    pub reference: Embedding,
    /// The other sides.
    pub candidates: Vec<Embedding>,
}

/// A comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Match {
    /// One side.
    pub reference: Reference,
    /// The other side.
    pub candidate: Coding,
}

/// The known side of a comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Reference {
    /// A picture that is coded first.
    Picture(Coding),
    /// A template that was made before.
    Template(Embedding),
}

/// A picture and how to look at it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Coding {
    /// The file.
    pub picture: Picture,
    /// Decides how several faces are treated.
    pub image_type: ImageType,
    /// Look for faces that lie on their side or stand on their head, too.
    pub rotate: bool,
}

/// Where the bytes of a picture are.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Picture {
    /// In this message.
    Inline(Bytes),
    /// In the blob store, sealed (claim check).
    Blob {
        /// Key in the store.
        key: String,
    },
}

/// An answer on its way to the gateway that asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReplyEnvelope {
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The job that is answered.
    pub id: JobId,
    /// Time from the job's start to its answer, on the worker's clock, in milliseconds.
    pub service_ms: u64,
    /// The sealed [`Outcome`].
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

/// How a job ended.
pub type Outcome = Result<JobResult, JobFailure>;

/// What a worker found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum JobResult {
    /// Answer to [`Job::Code`].
    Coded(CodedPicture),
    /// Answer to [`Job::Match`].
    Matched(Box<Matched>),
    /// Answer to [`Job::Rank`]: for each candidate, in their order, how often two different people look as much alike
    /// as it and the reference.
    Ranked(Vec<Far>),
    /// Answer to [`Job::EstimateAge`].
    Aged(AgedPicture),
    /// Answer to [`Job::Compress`]: the file, upright.
    Compressed(Bytes),
    /// Answer to [`Job::Examine`].
    Examined(Box<Examined>),
}

/// A picture with the age that the person in it seems to have.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AgedPicture {
    /// SHA-256 of the bytes received, lower-case hex.
    pub digest: String,
    /// As of [`CodedFace`]; [`QUALITY_NOBODY`](crate::face::QUALITY_NOBODY) where nobody is.
    pub quality: i32,
    /// In years; `None` where nobody is or the quality is negative.
    pub age: Option<f32>,
}

/// A picture as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CodedPicture {
    /// SHA-256 of the bytes received, lower-case hex.
    pub digest: String,
    /// The face, or nobody.
    pub face: Option<CodedFace>,
}

/// A comparison as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Matched {
    /// The reference, where it came as a picture.
    pub reference: Option<CodedPicture>,
    /// The candidate.
    pub candidate: CodedPicture,
    /// How often two different people look as much alike as these two faces.
    pub far: Far,
}

/// Which picture of a job is meant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Subject {
    /// The only picture.
    Image,
    /// The known side of a comparison.
    Reference,
    /// The other side.
    Candidate,
    /// A live picture, by its place among them.
    Live(u8),
    /// The photo that live pictures are compared with.
    Photo,
}

/// Why there is no result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
pub enum JobFailure {
    /// The bytes cannot be used as a picture; the text is for the caller.
    #[error("{subject:?}: {reason}")]
    BadPicture {
        /// Which picture.
        subject: Subject,
        /// What is wrong, in words for the caller.
        reason: String,
    },
    /// More faces than the kind of picture allows.
    #[error("{subject:?}: several faces")]
    SeveralFaces {
        /// Which picture.
        subject: Subject,
    },
    /// A comparison needs a face and there is none.
    #[error("{subject:?}: no face")]
    NoFace {
        /// Which picture.
        subject: Subject,
    },
    /// The reference comes from another algorithm.
    #[error("template of algorithm {theirs}, this worker has {ours}")]
    OtherAlgorithm {
        /// Algorithm and version of the template.
        theirs: String,
        /// Algorithm and version of the worker.
        ours: String,
    },
    /// The blob is not in the store (any more). Publishing the job again may help, another picture does not.
    #[error("the picture's bytes are no longer in the blob store")]
    BlobLost,
    /// The job was older than its budget when a worker came to it.
    #[error("the job was {age_ms} ms old when a worker came to it")]
    Expired {
        /// Age on the worker's clock, in milliseconds.
        age_ms: u64,
    },
    /// The job took workers down with it, and is not tried again.
    #[error("the job ended its worker {attempts} times")]
    Poison {
        /// How often it was tried.
        attempts: u32,
    },
    /// Anything else; the worker's log has the detail.
    #[error("internal error in the worker")]
    Internal,
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Written by a newer or an older build.
    #[error("envelope version {0} is not known")]
    Version(u16),
    /// Not MessagePack of the form.
    #[error("malformed message")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// Cannot be written.
    #[error("message cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The payload does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The one field that every version of an envelope has.
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

/// The routing part of a job, as its gateway knows it.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The job.
    pub id: JobId,
    /// Whose job it is.
    pub client: String,
    /// The publishing gateway's instance.
    pub gateway: String,
    /// Time that the job may take.
    pub budget: Duration,
    /// W3C trace context of the request.
    pub traceparent: String,
}

impl JobEnvelope {
    /// Seals a job and stamps it with the present time.
    ///
    /// # Errors
    /// Encoding and sealing do not fail in practice.
    pub fn seal(routing: Routing, job: &Job, ring: &KeyRing) -> Result<Self, MessageError> {
        let Routing { id, client, gateway, budget, traceparent } = routing;
        let payload =
            ring.seal(Purpose::Job, associated_data(&client, id).as_bytes(), &rmp_serde::to_vec_named(job)?)?;
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

    /// Opens the job.
    ///
    /// # Errors
    /// Unknown key, changed bytes, or a payload that is not a job of this version.
    pub fn open(&self, ring: &KeyRing) -> Result<Job, MessageError> {
        let plain =
            ring.open(Purpose::Job, associated_data(&self.client, self.id).as_bytes(), &self.payload)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }

    /// The message's bytes.
    ///
    /// # Errors
    /// Does not fail in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Reads a message of this version.
    ///
    /// # Errors
    /// Another version, or not of the form.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        decode(bytes)
    }

    /// Age by this machine's clock; zero where the publisher's clock is ahead.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.published_at))
    }

    /// Time that the job may take.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

impl ReplyEnvelope {
    /// Seals the outcome of a job.
    ///
    /// # Errors
    /// Encoding and sealing do not fail in practice.
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
    /// Unknown key, changed bytes, or a payload that is not an outcome of this version.
    pub fn open(&self, ring: &KeyRing) -> Result<Outcome, MessageError> {
        let plain = ring.open(Purpose::Reply, associated_data("", self.id).as_bytes(), &self.payload)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }

    /// The message's bytes.
    ///
    /// # Errors
    /// Does not fail in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Reads a message of this version.
    ///
    /// # Errors
    /// Another version, or not of the form.
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

    use super::*;

    fn routing() -> Routing {
        Routing {
            id: Uuid::now_v7(),
            client: "bank".into(),
            gateway: "g1".into(),
            budget: Duration::from_secs(30),
            traceparent: String::new(),
        }
    }

    fn coding(bytes: &'static [u8]) -> Job {
        Job::Code(Coding {
            picture: Picture::Inline(Bytes::from_static(bytes)),
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

        let Job::Code(coding) = JobEnvelope::decode(&bytes).unwrap().open(&ring).unwrap() else {
            panic!("another kind of job")
        };
        assert!(matches!(coding.picture, Picture::Inline(bytes) if bytes.as_ref() == picture));
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
