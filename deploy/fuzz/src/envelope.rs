//! Messages between gateways and workers.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::face::{Embedding, ImageType};
use faceline_shared::job::{
    CarriedPicture, Coding, Examination, JobContext, JobEnvelope, JobFailure, JobHead, JobResult, Match,
    Outcome, Ranking, Reference, ReplyEnvelope, Routing, Task, VideoExamination,
};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::seal::KeyRing;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::ring::ring;
use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "envelope",
    run: envelope,
    seeds,
    words: &[
        b"\xa7version",
        b"\xa2id",
        b"\xa7payload",
        b"\xa7context",
        b"\xa3key",
        b"\xa9budget_ms",
        b"\xa4Code",
        b"\xa6Inline",
        b"\xdc\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xde\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc0",
    ],
    is_dotted_base64: false,
    max_allocated_bytes: 16 * MIB,
};

/// The payloads that this installation has sealed: the name in the associated data, and the content.
static SEALED: LazyLock<BTreeSet<(String, Vec<u8>)>> = LazyLock::new(|| {
    let jobs = jobs().into_iter().map(|(routing, task)| (place(&routing.client, routing.id), encoded(&task)));
    let replies = replies().into_iter().map(|(id, outcome)| (place("reply", id), encoded(&outcome)));
    jobs.chain(replies).collect()
});

/// The ring, whose key does not change during a run.
static RING: LazyLock<KeyRing> = LazyLock::new(ring);

/// Decodes a message in every way in which gateways and workers do.
///
/// # Panics
/// A decoded message does not encode to itself, or a message opens that this installation did not seal.
pub fn envelope(data: &[u8]) {
    let head = JobHead::decode(data);
    let context = JobContext::decode(data);
    if let Ok(job) = JobEnvelope::decode(data) {
        let written = job.encode().expect("an envelope that was read can be written");
        let again = JobEnvelope::decode(&written).expect("an envelope that was written can be read");
        assert_eq!(again.encode().expect("it can be written again"), written);
        // A worker reads the head of a job that it cannot decode as a whole. The head must have the same values as the
        // job.
        let head = head.expect("a whole envelope has a head");
        assert_eq!(
            (head.version, head.id, head.budget_ms, head.published_at),
            (job.version, job.id, job.budget_ms, job.published_at)
        );
        assert_eq!(context.expect("a whole envelope may have a context").context, job.context);
        if let Ok(task) = job.open(&RING) {
            assert_sealed(&place(&job.client, job.id), &encoded(&task));
        }
    }
    if let Ok(reply) = ReplyEnvelope::decode(data) {
        let written = reply.encode().expect("an envelope that was read can be written");
        let again = ReplyEnvelope::decode(&written).expect("an envelope that was written can be read");
        assert_eq!(again.encode().expect("it can be written again"), written);
        if let Ok(outcome) = reply.open(&RING) {
            assert_sealed(&place("reply", reply.id), &encoded(&outcome));
        }
    }
    // The content of payloads. Only this installation seals them, but newer builds of it may have sealed them, too.
    assert_stable::<Task<CarriedPicture>>(data);
    assert_stable::<Outcome>(data);
}

fn assert_sealed(place: &str, content: &[u8]) {
    assert!(SEALED.contains(&(place.to_owned(), content.to_owned())), "{place} opens and was never sealed");
}

/// Asserts that a decoded value encodes to bytes that decode to the same value.
fn assert_stable<T: DeserializeOwned + Serialize>(data: &[u8]) {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(data);
    deserializer.set_max_depth(64);
    if let Ok(value) = T::deserialize(&mut deserializer) {
        let written = encoded(&value);
        let again: T = rmp_serde::from_slice(&written).expect("what was written can be read");
        assert_eq!(encoded(&again), written);
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("every value of these types can be written")
}

fn place(kind: &str, id: Uuid) -> String {
    format!("{kind}:{id}")
}

fn coding() -> Coding<CarriedPicture> {
    Coding { picture: picture(), image_type: ImageType::Selfie, rotate: true }
}

fn picture() -> CarriedPicture {
    CarriedPicture::Inline(Bytes::from_static(b"\xff\xd8\xff a small picture"))
}

fn embedding() -> Embedding {
    Embedding::new("algorithm", 1, &[0.5, -0.25, 0.125])
}

/// A job of each kind.
fn jobs() -> Vec<(Routing, Task<CarriedPicture>)> {
    let blob = CarriedPicture::Blob { key: "job/image".into() };
    let matched = |reference| Task::Match(Box::new(Match { reference, candidate: coding() }));
    let tasks = [
        Task::Code(coding()),
        Task::EstimateAge(Coding { picture: blob, ..coding() }),
        matched(Reference::Picture(coding())),
        matched(Reference::Template(embedding())),
        Task::Rank(Box::new(Ranking { reference: embedding(), candidates: vec![embedding(); 2] })),
        Task::Compress(picture()),
        Task::Examine(Box::new(Examination {
            live: vec![picture(); 2],
            photo: Some(picture()),
            liveness: true,
            challenge: Vec::new(),
        })),
        Task::ExamineVideo(VideoExamination { video: picture(), level: SecurityLevel::High }),
    ];
    let with_routing = |(number, task)| {
        let routing = Routing {
            id: Uuid::from_u128(number),
            client: "bank".into(),
            gateway: "gateway-1".into(),
            budget: Duration::from_secs(30),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        };
        (routing, task)
    };
    (1..).zip(tasks).map(with_routing).collect()
}

/// A reply with a result, and some with failures.
fn replies() -> Vec<(Uuid, Outcome)> {
    let outcomes = [
        Ok(JobResult::Compressed(Bytes::from_static(b"\xff\xd8\xff\xd9"))),
        Err(JobFailure::BlobLost),
        Err(JobFailure::Expired { age_ms: 31_000 }),
        Err(JobFailure::OtherAlgorithm { theirs: "a 1".into(), ours: "b 2".into() }),
    ];
    (100..).map(Uuid::from_u128).zip(outcomes).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (routing, task) in jobs() {
        seeds.push(encoded(&task));
        let job = JobEnvelope::seal(routing, &task, &RING).expect("a job can be sealed");
        seeds.push(job.clone().encode().expect("a job can be written").into());
        seeds.push(job.with_context(vec![1, 2, 3]).encode().expect("a job can be written").into());
    }
    for (id, outcome) in replies() {
        seeds.push(encoded(&outcome));
        let reply = ReplyEnvelope::seal(id, &outcome, Duration::from_millis(12), &RING);
        seeds.push(reply.expect("a reply can be sealed").encode().expect("a reply can be written").into());
    }
    seeds
}
