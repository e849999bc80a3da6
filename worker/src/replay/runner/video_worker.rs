//! The tasks about videos on one thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::job::replay::{Replay, ReplayError, Replayed, Verdict, VideoExamined};
use faceline_shared::job::{JobFailure, JobResult, Task};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::object::ObjectStore;
use faceline_shared::replay::LivenessType;
use tokio::runtime::Handle;

use super::media::{self, MediaFault};
use crate::jobs::{JobTimes, TaskFault, TaskRun, TaskRunner};
use crate::matching::Comparator;
use crate::pipeline::{Pipeline, PipelineFault};
use crate::replay::exports::Exporter;
use crate::replay::{Asked, Judgement, examine, judge, judge_still};
use crate::video::{Clip, Container, DecodeError, Decoder, MemoryFile, SamplingPlan, VideoFault};

/// Services that the threads for videos share.
#[derive(Clone)]
pub(crate) struct VideoServices {
    /// The store of encrypted videos.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The decoder.
    pub(crate) decoder: Decoder,
    /// Exports media for the service provider.
    pub(crate) exporter: Arc<Exporter>,
    /// The runtime on which the object stores work.
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
        self.pipeline.take_segments();
        self.decoding = Duration::ZERO;
        let result = match task {
            Task::Replay(replay) => {
                self.replay(replay).map(|replayed| JobResult::Replayed(Box::new(replayed)))
            }
            Task::ExamineVideo(asked) => self
                .examine(&asked.video, asked.level)
                .map(|examined| JobResult::VideoExamined(Box::new(examined))),
            _ => Err(JobFailure::Unsupported.into()),
        };
        let stages = self.pipeline.take_times();
        let segments = self.pipeline.take_segments();
        let times = JobTimes { decode: self.decoding + stages.decode, infer: stages.infer(), segments };
        TaskRun { result, times }
    }

    fn warm_up(&mut self) -> Result<(), PipelineFault> {
        self.pipeline.warm_up()
    }

    fn reopen(&mut self) -> Result<(), PipelineFault> {
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
        let started = Instant::now();
        let fetched = self.services.runtime.block_on(media::fetch(&*self.services.objects, &replay.media));
        self.pipeline.add_segment("fetch", started);
        let video = match fetched {
            Ok(video) => video,
            Err(MediaFault::Replay(error)) => return Ok(without_judgement(error)),
            Err(fault @ MediaFault::Unavailable(_)) => return Err(TaskFault::Unavailable(fault.to_string())),
        };
        if replay.liveness == LivenessType::Passive && is_picture(&video)? {
            return self.replay_still(replay, &video);
        }
        let clip = match self.decode(&video) {
            Ok(clip) => clip,
            Err(DecodeError::Video(fault)) => return Ok(without_judgement(replay_error(&fault))),
            Err(error @ DecodeError::Unavailable(_)) => {
                return Err(TaskFault::Unavailable(error.to_string()));
            }
        };
        let asked = Asked::from(replay);
        let judgement = judge(&mut self.pipeline, &self.comparator, &clip, &asked).map_err(task_fault)?;
        self.finish(replay, judgement, Some((&video, clip.container)))
    }

    /// Judges an uploaded still.
    fn replay_still(&mut self, replay: &Replay, file: &MemoryFile) -> Result<Replayed, TaskFault> {
        let file = file.bytes().map_err(|error| no_memory(&error))?;
        match judge_still(&mut self.pipeline, &self.comparator, &file, replay.level) {
            Ok(judgement) => self.finish(replay, judgement, None),
            Err(PipelineFault::Picture(fault)) => {
                tracing::info!(%fault, "a still is not decoded");
                Ok(without_judgement(ReplayError::Malformed))
            }
            Err(fault) => Err(task_fault(fault)),
        }
    }

    /// Exports what the replay asks for. If that fails, the job goes back to its queue: the answer must name the files.
    fn finish(
        &self,
        replay: &Replay,
        judgement: Judgement,
        video: Option<(&MemoryFile, Container)>,
    ) -> Result<Replayed, TaskFault> {
        let Judgement { verdict, best_image, scores } = judgement;
        tracing::info!(?verdict, ?scores, "a video is judged");
        let jpeg = best_image.as_ref().map(|image| &image.jpeg);
        let VideoServices { exporter, runtime, .. } = &self.services;
        let exported = exporter
            .export_blocking(runtime, replay, jpeg, video)
            .map_err(|error| TaskFault::Unavailable(error.to_string()))?;
        Ok(Replayed { verdict, best_image, image_storage: exported.image, video_storage: exported.video })
    }

    /// Judges a video whose caller waits.
    fn examine(&mut self, video: &[u8], level: SecurityLevel) -> Result<VideoExamined, TaskFault> {
        let video = MemoryFile::of(video).map_err(|error| no_memory(&error))?;
        let clip = match self.decode(&video) {
            Ok(clip) => clip,
            Err(DecodeError::Video(fault)) => return Err(JobFailure::BadVideo(replay_error(&fault)).into()),
            Err(error @ DecodeError::Unavailable(_)) => {
                return Err(TaskFault::Unavailable(error.to_string()));
            }
        };
        examine(&mut self.pipeline, &clip, level).map_err(task_fault)
    }

    fn decode(&mut self, video: &MemoryFile) -> Result<Clip, DecodeError> {
        let started = Instant::now();
        let clip = self.services.decoder.decode(video, &SamplingPlan::default());
        self.decoding += started.elapsed();
        self.pipeline.add_segment("decode", started);
        if let Err(error) = &clip {
            tracing::info!(%error, "a video is not decoded");
        }
        clip
    }
}

/// Whether the file begins as a JPEG or PNG does.
fn is_picture(file: &MemoryFile) -> Result<bool, TaskFault> {
    let mut magic = [0; 4];
    file.read_at(0, &mut magic).map_err(|error| no_memory(&error))?;
    Ok(magic.starts_with(b"\xff\xd8\xff") || magic == *b"\x89PNG")
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

/// The video does not fit into memory, or cannot be read there.
fn no_memory(error: &std::io::Error) -> TaskFault {
    TaskFault::Unavailable(format!("no memory for a video: {error}"))
}

fn task_fault(fault: PipelineFault) -> TaskFault {
    match fault {
        PipelineFault::Inference(error) => TaskFault::Inference(error),
        // Frames are decoded already, and several faces are a finding.
        PipelineFault::Picture(_) | PipelineFault::SeveralFaces => {
            tracing::error!(%fault, "a frame is judged as if it were a picture of a caller");
            JobFailure::Internal.into()
        }
    }
}
