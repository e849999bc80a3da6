//! The tasks about videos on one thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::job::replay::{Replay, ReplayError, Replayed, Verdict, VideoExamined};
use faceline_shared::job::{JobFailure, JobResult, Task};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::object::ObjectStore;
use tokio::runtime::Handle;

use super::media::{self, MediaFault};
use crate::jobs::{JobTimes, TaskFault, TaskRun, TaskRunner};
use crate::matching::Comparator;
use crate::pipeline::{CodingFault, Pipeline};
use crate::replay::{Asked, examine, judge};
use crate::video::{Clip, DecodeError, Decoder, MemoryFile, SamplingPlan, VideoFault};

/// What the threads for videos share.
#[derive(Clone)]
pub(crate) struct VideoServices {
    /// The store of encrypted videos.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The decoder.
    pub(crate) decoder: Decoder,
    /// How certain videos of BWS must be.
    pub(crate) level: SecurityLevel,
    /// The runtime on which the object store works.
    pub(crate) runtime: Handle,
}

/// A pipeline for the frames of videos.
pub(crate) struct VideoWorker {
    pipeline: Pipeline,
    comparator: Comparator,
    services: VideoServices,
    /// Time that the present task has spent on decoding.
    decoding: Duration,
}

impl TaskRunner for VideoWorker {
    fn run(&mut self, task: &Task<Bytes>) -> TaskRun {
        // A task that panicked leaves its times behind.
        self.pipeline.take_times();
        self.decoding = Duration::ZERO;
        let result = match task {
            Task::Replay(replay) => {
                self.replay(replay).map(|replayed| JobResult::Replayed(Box::new(replayed)))
            }
            Task::ExamineVideo(asked) => {
                self.examine(&asked.video).map(|examined| JobResult::VideoExamined(Box::new(examined)))
            }
            _ => Err(JobFailure::Unsupported.into()),
        };
        let stages = self.pipeline.take_times();
        let times = JobTimes { decode: self.decoding + stages.decode, infer: stages.infer() };
        TaskRun { result, times }
    }

    fn warm_up(&mut self) -> Result<(), CodingFault> {
        self.pipeline.warm_up()
    }

    fn reopen(&mut self) -> Result<(), CodingFault> {
        self.pipeline.reopen()?;
        self.pipeline.warm_up()
    }
}

impl VideoWorker {
    /// `comparator` must be for the embeddings of `pipeline`.
    #[must_use]
    pub(crate) fn new(pipeline: Pipeline, comparator: Comparator, services: VideoServices) -> Self {
        Self { pipeline, comparator, services, decoding: Duration::ZERO }
    }

    /// Judges an uploaded video. A fault of the video is a verdict too.
    fn replay(&mut self, replay: &Replay) -> Result<Replayed, TaskFault> {
        let fetched = self.services.runtime.block_on(media::fetch(&*self.services.objects, &replay.media));
        let video = match fetched {
            Ok(video) => video,
            Err(MediaFault::Replay(error)) => return Ok(without_judgement(error)),
            Err(fault @ MediaFault::Unavailable(_)) => return Err(TaskFault::Unavailable(fault.to_string())),
        };
        let clip = match self.decode(&video) {
            Ok(clip) => clip,
            Err(DecodeError::Video(fault)) => return Ok(without_judgement(replay_error(&fault))),
            Err(error @ DecodeError::Unavailable(_)) => {
                return Err(TaskFault::Unavailable(error.to_string()));
            }
        };
        let asked = Asked::from(replay);
        let judgement = judge(&mut self.pipeline, &self.comparator, &clip, &asked).map_err(task_fault)?;
        tracing::info!(verdict = ?judgement.verdict, scores = ?judgement.scores, "a video is judged");
        Ok(Replayed {
            verdict: judgement.verdict,
            best_image: judgement.best_image,
            image_storage: None,
            video_storage: None,
        })
    }

    /// Judges a video whose caller waits.
    fn examine(&mut self, video: &[u8]) -> Result<VideoExamined, TaskFault> {
        let video = MemoryFile::of(video).map_err(|error| TaskFault::Unavailable(error.to_string()))?;
        let clip = match self.decode(&video) {
            Ok(clip) => clip,
            Err(DecodeError::Video(fault)) => return Err(JobFailure::BadVideo(replay_error(&fault)).into()),
            Err(error @ DecodeError::Unavailable(_)) => {
                return Err(TaskFault::Unavailable(error.to_string()));
            }
        };
        examine(&mut self.pipeline, &clip, self.services.level).map_err(task_fault)
    }

    fn decode(&mut self, video: &MemoryFile) -> Result<Clip, DecodeError> {
        let started = Instant::now();
        let clip = self.services.decoder.decode(video, &SamplingPlan::default());
        self.decoding += started.elapsed();
        if let Err(error) = &clip {
            tracing::info!(%error, "a video is not decoded");
        }
        clip
    }
}

/// The result for a video that cannot be judged.
fn without_judgement(error: ReplayError) -> Replayed {
    Replayed { verdict: Verdict::Error(error), best_image: None, image_storage: None, video_storage: None }
}

/// The fault of a video, as service providers may know it.
fn replay_error(fault: &VideoFault) -> ReplayError {
    match fault {
        VideoFault::UnsupportedFormat => ReplayError::UnsupportedFormat,
        VideoFault::UnsupportedCodec(_) => ReplayError::UnsupportedCodec,
        VideoFault::NoVideo | VideoFault::Malformed => ReplayError::Malformed,
        VideoFault::TooManyPixels { .. } => ReplayError::TooLarge,
        VideoFault::TooManyFrames { .. } | VideoFault::TooLong { .. } => ReplayError::TooLong,
        VideoFault::TooSlow | VideoFault::TooMuchMemory => ReplayError::TooExpensive,
    }
}

fn task_fault(fault: CodingFault) -> TaskFault {
    match fault {
        CodingFault::Inference(error) => TaskFault::Inference(error),
        // Frames are decoded already, and several faces are a finding.
        CodingFault::Picture(_) | CodingFault::SeveralFaces => {
            tracing::error!(%fault, "a frame is judged as if it were a picture of a caller");
            JobFailure::Internal.into()
        }
    }
}
