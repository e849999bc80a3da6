//! The engine with models that fail, alone and behind a consumer.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::face::ImageType;
use faceline_shared::job::{CodedPicture, Coding, JobFailure, JobResult, Task};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;
use uuid::Uuid;

use super::session_health::MAX_FAILURES_IN_A_ROW;
use super::{Engine, Handler as _, JobTimes, TaskFault, TaskRun, TaskRunner};
use crate::inference::InferenceError;
use crate::pipeline::PipelineFault;

/// The device of a [`FakeRunner`]: whether it works, and how often it was used.
#[derive(Default)]
pub(super) struct FakeDevice {
    /// Every run of a model fails.
    pub(super) runs_fail: AtomicBool,
    /// Models cannot be opened, or fail their warm-up.
    pub(super) opening_fails: AtomicBool,
    /// Tasks that were run.
    pub(super) runs: AtomicUsize,
    /// Attempts to open the models again.
    pub(super) reopenings: AtomicUsize,
}

impl FakeDevice {
    pub(super) fn set(&self, runs_fail: bool, opening_fails: bool) {
        self.runs_fail.store(runs_fail, Ordering::SeqCst);
        self.opening_fails.store(opening_fails, Ordering::SeqCst);
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    pub(super) fn reopenings(&self) -> usize {
        self.reopenings.load(Ordering::SeqCst)
    }
}

/// Answers with the picture's bytes, while its device works. A picture that says `panic` makes it panic.
pub(super) struct FakeRunner(pub(super) Arc<FakeDevice>);

fn broken() -> InferenceError {
    InferenceError::Run { model: "fake".into(), reason: "the device is lost".into() }
}

impl FakeRunner {
    fn open(&self) -> Result<(), PipelineFault> {
        if self.0.opening_fails.load(Ordering::SeqCst) { Err(broken().into()) } else { Ok(()) }
    }
}

impl TaskRunner for FakeRunner {
    fn run(&mut self, task: &Task<Bytes>) -> TaskRun {
        self.0.runs.fetch_add(1, Ordering::SeqCst);
        let times =
            JobTimes { decode: Duration::ZERO, infer: Duration::from_millis(1), ..JobTimes::default() };
        let Task::Code(picture) = task else { panic!("only pictures are sent") };
        let digest = String::from_utf8(picture.picture.to_vec()).unwrap();
        if digest == "panic" {
            panic!("as the picture says");
        }
        if digest == "bad" {
            return TaskRun { result: Err(JobFailure::BlobLost.into()), times: JobTimes::default() };
        }
        if self.0.runs_fail.load(Ordering::SeqCst) {
            return TaskRun { result: Err(TaskFault::Inference(broken())), times };
        }
        TaskRun { result: Ok(JobResult::Coded(CodedPicture { digest, face: None })), times }
    }

    fn warm_up(&mut self) -> Result<(), PipelineFault> {
        self.open()
    }

    fn reopen(&mut self) -> Result<(), PipelineFault> {
        self.0.reopenings.fetch_add(1, Ordering::SeqCst);
        self.open()
    }
}

fn picture(text: &'static str) -> Task<Bytes> {
    let picture = Bytes::from_static(text.as_bytes());
    Task::Code(Coding { picture, image_type: ImageType::Selfie, rotate: false })
}

/// Whether a task was answered with a result, answered with `Internal`, or not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Done,
    Internal,
    Unavailable,
}

async fn ask(engine: &Engine) -> Answer {
    match engine.handle(picture("x")).await {
        Ok((Ok(_), _)) => Answer::Done,
        Ok((Err(failure), _)) => {
            assert_eq!(failure, JobFailure::Internal);
            Answer::Internal
        }
        Err(_) => Answer::Unavailable,
    }
}

/// Asks until the sessions are broken, and returns how many answers came before.
async fn break_down(engine: &Engine) -> u32 {
    let mut answered = 0;
    while ask(engine).await == Answer::Internal {
        answered += 1;
    }
    answered
}

async fn soon(waiting: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it does not happen");
}

#[tokio::test]
async fn sessions_that_keep_failing_are_opened_again_and_then_given_up() {
    let device = Arc::new(FakeDevice::default());
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    let mut availability = engine.availability();
    assert_eq!(ask(&engine).await, Answer::Done);

    device.set(true, false);
    for _ in 0..MAX_FAILURES_IN_A_ROW {
        assert_eq!(ask(&engine).await, Answer::Internal);
    }
    assert_eq!(ask(&engine).await, Answer::Internal);
    assert_eq!(device.reopenings(), 1, "they are opened again after three failures");
    assert!(availability.is_available());

    device.set(true, true);
    assert_eq!(ask(&engine).await, Answer::Internal);
    assert_eq!(ask(&engine).await, Answer::Unavailable);
    assert!(!availability.is_available());
    assert_eq!(ask(&engine).await, Answer::Unavailable, "nothing is run while they are broken");
    assert_eq!(device.runs(), 1 + 2 * MAX_FAILURES_IN_A_ROW as usize);

    device.set(false, false);
    soon(availability.until(true)).await;
    assert_eq!(ask(&engine).await, Answer::Done);
}

#[tokio::test]
async fn a_new_session_that_works_ends_the_count() {
    let device = Arc::new(FakeDevice::default());
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    for reopenings in 1..=3 {
        device.set(true, false);
        for _ in 0..MAX_FAILURES_IN_A_ROW {
            assert_eq!(ask(&engine).await, Answer::Internal);
        }
        device.set(false, false);
        assert_eq!(ask(&engine).await, Answer::Done);
        assert_eq!(device.reopenings(), reopenings);
    }
}

#[tokio::test]
async fn faults_of_pictures_neither_count_nor_end_the_count() {
    let device = Arc::new(FakeDevice::default());
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    for _ in 0..10 {
        assert_eq!(engine.handle(picture("bad")).await.unwrap().0, Err(JobFailure::BlobLost));
    }
    assert_eq!(device.reopenings(), 0);
    device.set(true, false);
    for _ in 0..MAX_FAILURES_IN_A_ROW {
        assert_eq!(ask(&engine).await, Answer::Internal);
        assert!(engine.handle(picture("bad")).await.is_ok());
    }
    assert_eq!(device.reopenings(), 1);
}

#[tokio::test]
async fn sessions_that_cannot_be_opened_again_are_broken_at_once() {
    let device = Arc::new(FakeDevice::default());
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    device.set(true, true);
    assert_eq!(break_down(&engine).await, MAX_FAILURES_IN_A_ROW);
    assert!(!engine.availability().is_available());
}

#[tokio::test]
async fn a_device_that_does_not_work_at_the_start_is_waited_for() {
    let device = Arc::new(FakeDevice::default());
    device.set(true, true);
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    let mut availability = engine.availability();
    assert!(!availability.is_available());
    assert_eq!(engine.prefetch(), 2);
    assert_eq!(ask(&engine).await, Answer::Unavailable);
    device.set(false, false);
    soon(availability.until(true)).await;
    assert_eq!(ask(&engine).await, Answer::Done);
}

#[tokio::test]
async fn one_broken_session_leaves_the_jobs_to_the_others() {
    let [lost, sound] = [(); 2].map(|()| Arc::new(FakeDevice::default()));
    lost.set(false, true);
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&lost)), FakeRunner(Arc::clone(&sound))]).unwrap();
    assert!(engine.availability().is_available());
    for _ in 0..20 {
        assert_eq!(ask(&engine).await, Answer::Done);
    }
    assert_eq!((lost.runs(), sound.runs()), (0, 20));
}

/// Log lines, as they are written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of this process from now on, those of other tests too.
fn lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let lines = Lines::default();
            let writer = lines.clone();
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
            lines
        })
        .clone()
}

#[tokio::test]
async fn log_lines_of_the_inference_threads_name_their_job() {
    let lines = lines();
    let device = Arc::new(FakeDevice::default());
    device.set(true, false);
    let engine = Engine::start(vec![FakeRunner(device)]).unwrap();
    for (text, event) in [("panic", "a job panicked"), ("x", "a model failed")] {
        let job = Uuid::now_v7();
        let span = tracing::info_span!("job", %job);
        assert_eq!(engine.handle(picture(text)).instrument(span).await.unwrap().0, Err(JobFailure::Internal));
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let names_job = |line: &&str| line.contains(event) && line.contains(&job.to_string());
        assert!(log.lines().any(|line| names_job(&line)), "{event}, {job}: {log}");
    }
}
