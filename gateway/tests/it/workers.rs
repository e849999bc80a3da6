//! Fake workers that answer from a script.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::jobs::Submit;
use faceline_gateway::jobs::{JobRequest, SubmitResult};
use faceline_shared::face::{BoundingBox, CodedFace, Embedding, Eyes, PixelBox};
use faceline_shared::job::examination::{Examination, Examined, ExaminedFace, ExaminedPicture, Motion};
use faceline_shared::job::replay::{ExaminedFrame, Verdict};
use faceline_shared::job::{AgedPicture, CodedPicture, JobResult, Matched, VideoExamined};
use faceline_shared::job::{Reference, Task};
use faceline_shared::score::Far;
use tokio::sync::{Notify, Semaphore};

pub(crate) struct Workers {
    script: Box<dyn Fn(&JobRequest) -> SubmitResult + Send + Sync>,
    pub(crate) jobs: Mutex<Vec<JobRequest>>,
    pub(crate) connected: AtomicBool,
    /// A job takes a permit before it is answered.
    pub(crate) permits: Semaphore,
    pub(crate) arrived: Notify,
    /// Notified when the caller of a job has disconnected.
    pub(crate) given_up: Notify,
}

/// Notifies when it is dropped before the job was answered.
struct AbandonGuard<'a>(Option<&'a Notify>);

impl Drop for AbandonGuard<'_> {
    fn drop(&mut self) {
        if let Some(given_up) = self.0 {
            given_up.notify_one();
        }
    }
}

impl Workers {
    pub(crate) fn new(script: impl Fn(&JobRequest) -> SubmitResult + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            jobs: Mutex::default(),
            connected: AtomicBool::new(true),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: Notify::new(),
            given_up: Notify::new(),
        })
    }

    /// Workers that find the same face in every picture.
    pub(crate) fn able() -> Arc<Self> {
        Self::new(|job| Ok(answer(job)))
    }

    /// Workers that answer one job for each added permit.
    pub(crate) fn held() -> Arc<Self> {
        let workers = Self::able();
        workers.permits.forget_permits(Semaphore::MAX_PERMITS);
        workers
    }
}

#[async_trait]
impl Submit for Workers {
    async fn submit(&self, job: JobRequest) -> SubmitResult {
        let mut guard = AbandonGuard(Some(&self.given_up));
        self.jobs.lock().unwrap().push(job.clone());
        self.arrived.notify_one();
        self.permits.acquire().await.unwrap().forget();
        guard.0 = None;
        (self.script)(&job)
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

pub(crate) fn face() -> CodedFace {
    CodedFace {
        quality: 295,
        eyes: Eyes { x1: 1220.5284, y1: 1891.722, x2: 1621.1726, y2: 581.0 },
        bounding_box: BoundingBox { x: 900.0, y: 1500.0, width: 1000.0, height: 1200.0 },
        face_box: Some(PixelBox { x: 900, y: 1500, width: 1000, height: 1200 }),
        embedding: Embedding::new("FL1_512", 1, &[0.6, 0.8]),
    }
}

pub(crate) fn coded(face: Option<CodedFace>) -> CodedPicture {
    CodedPicture { digest: "8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862".into(), face }
}

/// The results of [`Workers::able`].
pub(crate) fn answer(job: &JobRequest) -> JobResult {
    match &job.task {
        Task::Code(_) => JobResult::Coded(coded(Some(face()))),
        Task::Match(compared) => JobResult::Matched(Box::new(Matched {
            reference: match compared.reference {
                Reference::Picture(_) => Some(coded(Some(face()))),
                Reference::Template(_) => None,
            },
            candidate: coded(Some(face())),
            far: Far::from_log10((1500.0 - 10_269.438_178_710_938) / 500.0),
        })),
        Task::Rank(ranking) => JobResult::Ranked(vec![Far::ONE; ranking.candidates.len()]),
        Task::EstimateAge(_) => {
            JobResult::Aged(AgedPicture { digest: String::new(), quality: 295, age: Some(40.0) })
        }
        Task::Compress(file) => JobResult::Compressed([&b"a JPEG of "[..], file].concat().into()),
        Task::Examine(examination) => JobResult::Examined(Box::new(living(examination))),
        Task::ExamineVideo(_) => JobResult::VideoExamined(Box::new(living_video())),
        Task::Replay(_) => panic!("replays are answered over the queue of results"),
    }
}

/// The findings for a video of a living person.
pub(crate) fn living_video() -> VideoExamined {
    let eyes = Eyes { x1: 100.5, y1: 120.0, x2: 160.0, y2: 121.25 };
    let picture = ExaminedPicture {
        rotated: 0,
        faces: vec![ExaminedFace { eyes, liveness: Some(0.75) }],
        quality: 0.875,
        findings: Vec::new(),
    };
    let frame = |at: u32| ExaminedFrame { number: at * 25, picture: picture.clone() };
    VideoExamined { frames: (0..7).map(frame).collect(), verdict: Verdict::Success, liveness: Some(0.8125) }
}

/// The findings for a living person who moves as requested and is the person of the photo.
pub(crate) fn living(examination: &Examination<Bytes>) -> Examined {
    let eyes = Eyes { x1: 100.5, y1: 120.0, x2: 160.0, y2: 121.25 };
    let picture = |liveness| ExaminedPicture {
        rotated: 0,
        faces: vec![ExaminedFace { eyes, liveness }],
        quality: 0.875,
        findings: Vec::new(),
    };
    let Examination { live, photo, liveness, .. } = examination;
    let two = live.len() == 2;
    Examined {
        live: live.iter().map(|_| picture(liveness.then_some(0.75))).collect(),
        motion: (two && *liveness).then_some(Motion { score: 0.9375, direction: Some(180.0), follows: true }),
        same_person: two.then_some(true),
        photo: photo.as_ref().map(|_| picture(None)),
        verification: photo.as_ref().map(|_| Far::from_log10(-6.0)),
    }
}
