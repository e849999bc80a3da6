//! The tasks of jobs on one inference thread: pictures to faces, and faces to false acceptance rates.

use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::digest::sha256_hex;
use faceline_shared::face::{Embedding, QUALITY_NOBODY};
use faceline_shared::job::{
    AgedPicture, CodedPicture, Coding, JobFailure, JobResult, Matched, Reference, Subject, Task,
};

use super::comparator::Comparator;
use super::same_person::compare_examined;
use crate::jobs::{JobTimes, TaskFault, TaskRun, TaskRunner};
use crate::pipeline::{AgedFace, Coded, CodingOptions, Pipeline, PipelineFault};

/// A pipeline, and the comparator for its embeddings.
pub struct FaceWorker {
    pipeline: Pipeline,
    comparator: Comparator,
    /// Time that the present task has spent on digests.
    digesting: Duration,
}

impl TaskRunner for FaceWorker {
    fn run(&mut self, task: &Task<Bytes>) -> TaskRun {
        // A task that panicked leaves its times behind.
        self.pipeline.take_times();
        self.pipeline.take_segments();
        self.digesting = Duration::ZERO;
        let result = self.run_task(task);
        let stages = self.pipeline.take_times();
        let segments = self.pipeline.take_segments();
        let times = JobTimes { decode: stages.decode + self.digesting, infer: stages.infer(), segments };
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

impl FaceWorker {
    /// `comparator` must be for the embeddings of `pipeline`.
    #[must_use]
    pub fn new(pipeline: Pipeline, comparator: Comparator) -> Self {
        Self { pipeline, comparator, digesting: Duration::ZERO }
    }

    fn run_task(&mut self, task: &Task<Bytes>) -> Result<JobResult, TaskFault> {
        match task {
            Task::Code(picture) => {
                let coded = self.code(picture, Subject::Image)?;
                Ok(JobResult::Coded(self.describe(picture, &coded)))
            }
            Task::EstimateAge(picture) => self.estimate_age(picture).map(JobResult::Aged),
            Task::Match(compared) => self.compare(&compared.reference, &compared.candidate),
            Task::Rank(ranking) => Ok(JobResult::Ranked(self.comparator.rank(ranking)?)),
            Task::Compress(bytes) => {
                let jpeg = self.pipeline.compress(bytes);
                Ok(JobResult::Compressed(
                    jpeg.map_err(|fault| task_fault(fault.into(), Subject::Image))?.into(),
                ))
            }
            Task::Examine(asked) => {
                let examined =
                    self.pipeline.examine(asked).map_err(|fault| task_fault(fault.fault, fault.subject))?;
                Ok(JobResult::Examined(Box::new(compare_examined(examined, &self.comparator)?)))
            }
            Task::Replay(_) | Task::ExamineVideo(_) => Err(JobFailure::Unsupported.into()),
        }
    }

    fn estimate_age(&mut self, picture: &Coding<Bytes>) -> Result<AgedPicture, TaskFault> {
        let aged = self
            .pipeline
            .estimate_age(&picture.picture, options(picture))
            .map_err(|fault| task_fault(fault, Subject::Image))?;
        let digest = self.digest(picture);
        Ok(match aged {
            Some(AgedFace { quality, age, .. }) => AgedPicture { digest, quality, age },
            None => AgedPicture { digest, quality: QUALITY_NOBODY, age: None },
        })
    }

    fn compare(
        &mut self,
        reference: &Reference<Bytes>,
        candidate: &Coding<Bytes>,
    ) -> Result<JobResult, TaskFault> {
        let (reference, reference_embedding, candidate_coded) = match reference {
            Reference::Template(embedding) => {
                self.comparator.check(embedding)?;
                (None, embedding.clone(), self.code(candidate, Subject::Candidate)?)
            }
            Reference::Picture(picture) => {
                let (reference_coded, candidate_coded) = self.code_pair(picture, candidate)?;
                let described = self.describe(picture, &reference_coded);
                let embedding = embedding_of(&described, Subject::Reference)?;
                (Some(described), embedding, candidate_coded)
            }
        };
        let candidate = self.describe(candidate, &candidate_coded);
        let candidate_embedding = embedding_of(&candidate, Subject::Candidate)?;
        let far = self.comparator.far(&reference_embedding, &candidate_embedding)?;
        Ok(JobResult::Matched(Box::new(Matched { reference, candidate, far })))
    }

    fn code(&mut self, picture: &Coding<Bytes>, subject: Subject) -> Result<Coded, TaskFault> {
        self.pipeline.code(&picture.picture, options(picture)).map_err(|fault| task_fault(fault, subject))
    }

    /// Codes both pictures, with one run of the embedding.
    fn code_pair(
        &mut self,
        reference: &Coding<Bytes>,
        candidate: &Coding<Bytes>,
    ) -> Result<(Coded, Coded), TaskFault> {
        let pictures = [reference, candidate].map(|picture| (picture.picture.as_ref(), options(picture)));
        let mut coded = self.pipeline.code_all(&pictures).into_iter();
        let mut next = |subject| match coded.next() {
            Some(coded) => coded.map_err(|fault| task_fault(fault, subject)),
            None => Err(JobFailure::Internal.into()),
        };
        Ok((next(Subject::Reference)?, next(Subject::Candidate)?))
    }

    fn describe(&mut self, picture: &Coding<Bytes>, coded: &Coded) -> CodedPicture {
        let digest = self.digest(picture);
        let face = coded.face.as_ref().map(|face| self.comparator.described(face));
        CodedPicture { digest, face }
    }

    fn digest(&mut self, picture: &Coding<Bytes>) -> String {
        let started = Instant::now();
        let digest = sha256_hex(&picture.picture);
        self.digesting += started.elapsed();
        digest
    }
}

fn options(picture: &Coding<Bytes>) -> CodingOptions {
    CodingOptions { image_type: picture.image_type, rotate: picture.rotate }
}

fn embedding_of(coded: &CodedPicture, subject: Subject) -> Result<Embedding, JobFailure> {
    let face = coded.face.as_ref().ok_or(JobFailure::NoFace { subject })?;
    Ok(face.embedding.clone())
}

fn task_fault(fault: PipelineFault, subject: Subject) -> TaskFault {
    match fault {
        PipelineFault::Picture(fault) => JobFailure::BadPicture { subject, reason: fault.to_string() }.into(),
        PipelineFault::SeveralFaces => JobFailure::SeveralFaces { subject }.into(),
        PipelineFault::Inference(error) => TaskFault::Inference(error),
    }
}
