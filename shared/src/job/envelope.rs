//! The envelopes: routing fields that an operator of the broker may read, and a sealed payload.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JobId;
use super::carried::CarriedPicture;
use super::result::Outcome;
use super::task::Task;
use crate::message_pack::from_slice;
use crate::seal::{KeyFingerprint, KeyRing, Purpose, SealError};
use crate::telemetry::TraceContext;

/// The envelope version that this build writes.
///
/// A new field needs no new version: builds that do not know it ignore it, and read its default where it is missing. A
/// new version is for content that older builds must not read. It keeps the fields of [`JobHead`], by which workers of
/// an older build identify the jobs that they leave to others.
pub const VERSION: u16 = 1;

/// The oldest envelope version that this build reads. A gateway reads what workers of the previous release write, and a worker
/// answers in the version of the job.
pub const OLDEST_VERSION: u16 = 1;

/// The fields that a job's envelope has in every version.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct JobHead {
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The job's id.
    pub id: JobId,
    /// The job expires this many milliseconds after `published_at`.
    pub budget_ms: u64,
    /// Time of the first publish by the gateway's clock, in milliseconds since the Unix epoch.
    pub published_at: u64,
}

/// The context that a job's envelope may have, readable in every version. The answer contains it even if the job cannot
/// be read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct JobContext {
    /// As [`JobEnvelope::context`].
    #[serde(default, with = "serde_bytes")]
    pub context: Option<Vec<u8>>,
}

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
    /// W3C `tracestate` of the request. Writers before this field leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The key that has sealed the payload. Writers before this field leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyFingerprint>,
    /// Data that the gateways need about the job when its answer arrives, sealed by them. A worker repeats it in the
    /// answer without opening it. Jobs that a waiting gateway published have none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub context: Option<Vec<u8>>,
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
    /// The key that has sealed the payload. Writers before this field leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyFingerprint>,
    /// The job's [`JobEnvelope::context`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub context: Option<Vec<u8>>,
    /// The sealed [`Outcome`].
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

/// Error of reading or writing a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A newer build wrote the message, in an envelope version that this build does not know.
    #[error("envelope version {0} is not known")]
    Version(u16),
    /// The bytes are not MessagePack of the expected structure.
    #[error("malformed message")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// The value cannot be encoded.
    #[error("message cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The reader does not have the key that has sealed the payload.
    #[error("sealed with the key {}, which is not in the key file", .0.map_or_else(|| "of an unknown fingerprint".into(), |key| key.to_string()))]
    OtherKeys(Option<KeyFingerprint>),
    /// The payload opens, so it comes from this installation, but this build does not know its form: a newer build wrote it.
    #[error("the payload is of a newer form: {0}")]
    NewerPayload(rmp_serde::decode::Error),
    /// The payload cannot be opened because bytes of it were changed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl MessageError {
    /// Whether a process of a newer build, or one with other keys, may read the message.
    #[must_use]
    pub fn is_deferrable(&self) -> bool {
        matches!(self, Self::Version(_) | Self::OtherKeys(_) | Self::NewerPayload(_))
    }
}

/// The field that every version of an envelope has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u16,
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    let AnyVersion { version } = from_slice(bytes)?;
    if (OLDEST_VERSION..=VERSION).contains(&version) {
        Ok(from_slice(bytes)?)
    } else {
        Err(MessageError::Version(version))
    }
}

/// Opens a payload that `key` has sealed.
fn open<T: DeserializeOwned>(
    ring: &KeyRing,
    key: Option<KeyFingerprint>,
    (purpose, associated_data): (Purpose, &str),
    sealed: &[u8],
) -> Result<T, MessageError> {
    // The fingerprint distinguishes another key with the same id from a payload that was changed.
    if key.is_some_and(|key| !ring.has(key)) {
        return Err(MessageError::OtherKeys(key));
    }
    let plain = ring.open(purpose, associated_data.as_bytes(), sealed).map_err(|error| match error {
        SealError::UnknownKey(_) => MessageError::OtherKeys(key),
        error => error.into(),
    })?;
    from_slice(&plain).map_err(MessageError::NewerPayload)
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
        Self::seal_payload(routing, task, ring)
    }

    /// Seals a task of a kind that this build does not know, as a newer gateway does.
    ///
    /// # Errors
    /// As [`JobEnvelope::seal`].
    #[cfg(feature = "testkit")]
    pub fn seal_unknown(
        routing: Routing,
        task: &impl Serialize,
        ring: &KeyRing,
    ) -> Result<Self, MessageError> {
        Self::seal_payload(routing, task, ring)
    }

    fn seal_payload(routing: Routing, task: &impl Serialize, ring: &KeyRing) -> Result<Self, MessageError> {
        let Routing { id, client, gateway, budget, traceparent } = routing;
        let (payload, key) = ring.seal_and_name(
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
            tracestate: None,
            key: Some(key),
            context: None,
            payload,
        })
    }

    /// Returns the envelope with this trace context.
    #[must_use]
    pub fn with_trace(self, trace: &TraceContext) -> Self {
        Self { traceparent: trace.to_string(), tracestate: trace.tracestate().map(str::to_owned), ..self }
    }

    /// Context of the span that sent the job. It is the parent of the workers' spans for the job.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        TraceContext::continued(Some(&self.traceparent), self.tracestate.as_deref())
    }

    /// Returns the envelope with a context for the answer.
    #[must_use]
    pub fn with_context(self, context: Vec<u8>) -> Self {
        Self { context: Some(context), ..self }
    }

    /// The same envelope with `published_at` set to the present time, so the job has its whole time budget again.
    #[must_use]
    pub fn renewed(self) -> Self {
        Self { published_at: now_ms(), ..self }
    }

    /// Opens the task.
    ///
    /// # Errors
    /// [`MessageError::OtherKeys`] for an unknown key, [`MessageError::NewerPayload`] for a task that this build does not know,
    /// [`MessageError::Seal`] for changed bytes.
    pub fn open(&self, ring: &KeyRing) -> Result<Task<CarriedPicture>, MessageError> {
        open(ring, self.key, (Purpose::Job, &associated_data(&self.client, self.id)), &self.payload)
    }

    /// The fields that every version has.
    #[must_use]
    pub fn head(&self) -> JobHead {
        let Self { version, id, budget_ms, published_at, .. } = *self;
        JobHead { version, id, budget_ms, published_at }
    }

    /// Encodes the envelope.
    ///
    /// # Errors
    /// [`MessageError::Encode`], which does not occur in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Decodes an envelope of a version that this build knows.
    ///
    /// # Errors
    /// [`MessageError::Version`] or [`MessageError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        decode(bytes)
    }
}

impl JobContext {
    /// Decodes the context of a job in an envelope of any version.
    ///
    /// # Errors
    /// [`MessageError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        Ok(from_slice(bytes)?)
    }
}

impl JobHead {
    /// Decodes the fields that an envelope has in every version.
    ///
    /// # Errors
    /// [`MessageError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        Ok(from_slice(bytes)?)
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
    /// Seals the outcome of a job, in the present version; `service` is the worker's time.
    ///
    /// # Errors
    /// [`MessageError::Encode`] or [`MessageError::Seal`], neither of which occurs in practice.
    pub fn seal(
        id: JobId,
        outcome: &Outcome,
        service: Duration,
        ring: &KeyRing,
    ) -> Result<Self, MessageError> {
        let (payload, key) = ring.seal_and_name(
            Purpose::Reply,
            associated_data("", id).as_bytes(),
            &rmp_serde::to_vec_named(outcome)?,
        )?;
        Ok(Self { version: VERSION, id, service_ms: millis(service), key: Some(key), context: None, payload })
    }

    /// Returns the envelope with the context of the answered job.
    #[must_use]
    pub fn with_context(self, context: Option<Vec<u8>>) -> Self {
        Self { context, ..self }
    }

    /// Sets the version to that of the answered job, which its gateway reads, or to the present one if the job's
    /// version is newer.
    #[must_use]
    pub fn in_version_of(self, job: &JobHead) -> Self {
        Self { version: job.version.clamp(OLDEST_VERSION, VERSION), ..self }
    }

    /// Opens the outcome.
    ///
    /// # Errors
    /// [`MessageError::OtherKeys`] for an unknown key, [`MessageError::NewerPayload`] for an outcome that this build does not
    /// know, [`MessageError::Seal`] for changed bytes.
    pub fn open(&self, ring: &KeyRing) -> Result<Outcome, MessageError> {
        open(ring, self.key, (Purpose::Reply, &associated_data("", self.id)), &self.payload)
    }

    /// Encodes the envelope.
    ///
    /// # Errors
    /// [`MessageError::Encode`], which does not occur in practice.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        Ok(rmp_serde::to_vec_named(self)?.into())
    }

    /// Decodes an envelope of a version that this build knows.
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
    fn a_message_that_is_nested_without_end_is_malformed() {
        for level in [&b"\x91"[..], b"\x81\xa7payload"] {
            let bytes = level.repeat(2000);
            assert!(matches!(JobHead::decode(&bytes), Err(MessageError::Malformed(_))));
            assert!(matches!(JobContext::decode(&bytes), Err(MessageError::Malformed(_))));
            assert!(matches!(JobEnvelope::decode(&bytes), Err(MessageError::Malformed(_))));
            assert!(matches!(ReplyEnvelope::decode(&bytes), Err(MessageError::Malformed(_))));
        }
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
    fn every_version_says_which_job_it_is() {
        #[derive(Serialize)]
        struct Newer {
            version: u16,
            id: JobId,
            budget_ms: u64,
            published_at: u64,
            something_new: [u8; 3],
        }
        let id = Uuid::now_v7();
        let newer = Newer {
            version: VERSION + 1,
            id,
            budget_ms: 7,
            published_at: now_ms() - 60_000,
            something_new: [1, 2, 3],
        };
        let head = JobHead::decode(&rmp_serde::to_vec_named(&newer).unwrap()).unwrap();
        assert_eq!((head.version, head.id, head.budget()), (VERSION + 1, id, Duration::from_millis(7)));
        assert!(head.age() >= Duration::from_secs(60));
    }

    /// A job's envelope as builds before the field `key` wrote it, and with a field of a later build.
    #[derive(Serialize)]
    struct OtherBuild {
        version: u16,
        id: JobId,
        client: String,
        gateway: String,
        budget_ms: u64,
        published_at: u64,
        traceparent: String,
        something_new: [u8; 3],
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    }

    #[test]
    fn new_fields_are_ignored_and_missing_ones_have_defaults() {
        let ring = KeyRing::generate().unwrap();
        let JobEnvelope {
            version, id, client, gateway, budget_ms, published_at, traceparent, payload, ..
        } = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap();
        let something_new = [1, 2, 3];
        let other = OtherBuild {
            version,
            id,
            client,
            gateway,
            budget_ms,
            published_at,
            traceparent,
            something_new,
            payload,
        };
        let read = JobEnvelope::decode(&rmp_serde::to_vec_named(&other).unwrap()).unwrap();
        assert_eq!((read.key, &read.tracestate), (None, &None));
        read.open(&ring).unwrap();
        let error = read.open(&KeyRing::generate().unwrap()).unwrap_err();
        assert!(matches!(error, MessageError::OtherKeys(None)), "{error:?}");
    }

    #[test]
    fn a_job_carries_its_trace() {
        let ring = KeyRing::generate().unwrap();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::received(Some(parent), Some("a=1")).unwrap();
        let envelope = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap().with_trace(&trace);
        let read = JobEnvelope::decode(&envelope.encode().unwrap()).unwrap().trace();
        assert_eq!((read.to_string().as_str(), read.tracestate()), (parent, Some("a=1")));
        // Without a context, a worker logs a new trace and records none.
        let read = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap().trace();
        assert!(!read.is_sampled());
    }

    #[test]
    fn other_keys_are_told_from_changed_bytes_and_newer_tasks() {
        let ring = KeyRing::generate().unwrap();
        let envelope = JobEnvelope::seal(routing(), &coding(b"x"), &ring).unwrap();
        let error = envelope.open(&KeyRing::generate().unwrap()).unwrap_err();
        assert!(
            matches!(error, MessageError::OtherKeys(key) if key == Some(ring.fingerprint())),
            "{error:?}"
        );
        assert!(error.is_deferrable() && error.to_string().contains(&ring.fingerprint().to_string()));

        let mut changed = envelope;
        changed.payload[60] ^= 1;
        let error = changed.open(&ring).unwrap_err();
        assert!(matches!(error, MessageError::Seal(_)) && !error.is_deferrable(), "{error:?}");

        #[derive(Serialize)]
        enum Newer {
            Dream { nights: u8 },
        }
        let newer = JobEnvelope::seal_payload(routing(), &Newer::Dream { nights: 1 }, &ring).unwrap();
        let error = newer.open(&ring).unwrap_err();
        assert!(matches!(error, MessageError::NewerPayload(_)) && error.is_deferrable(), "{error:?}");
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
