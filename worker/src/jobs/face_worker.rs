//! What one thread does: pictures to faces, faces to similarities, similarities to rates.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use faceline_shared::face::{CodedFace, Embedding, QUALITY_NOBODY};
use faceline_shared::job::{
    AgedPicture, CodedPicture, Coding, JobFailure, JobResult, Matched, Outcome, Reference, Subject, Task,
};

use super::comparator::Comparator;
use super::handler::Times;
use super::identity::identify;
use crate::pipeline::{self, AgedFace, Coded, CodingFault, CodingOptions, Pipeline, StageTimes};

/// A pipeline with what it takes to compare faces.
pub struct FaceWorker {
    pipeline: Pipeline,
    comparator: Comparator,
}

impl FaceWorker {
    /// `comparator` is for the embeddings of `pipeline`.
    #[must_use]
    pub fn new(pipeline: Pipeline, comparator: Comparator) -> Self {
        Self { pipeline, comparator }
    }

    /// Runs every model that most jobs need once.
    pub(super) fn warm_up(&mut self) {
        if let Err(error) = self.pipeline.warm_up() {
            tracing::error!(%error, "the models do not run");
        }
    }

    /// Does a job.
    pub(super) fn run(&mut self, task: &Task<Bytes>) -> (Outcome, Times) {
        let mut stages = StageTimes::default();
        let mut digesting = Duration::ZERO;
        let outcome = match task {
            Task::Code(picture) => self
                .code(picture, Subject::Image, &mut stages)
                .map(|coded| JobResult::Coded(self.describe(picture, &coded, &mut digesting))),
            Task::EstimateAge(picture) => {
                self.estimate_age(picture, &mut stages, &mut digesting).map(JobResult::Aged)
            }
            Task::Match(compared) => {
                self.compare(&compared.reference, &compared.candidate, &mut stages, &mut digesting)
            }
            Task::Rank(ranking) => self.comparator.rank(ranking).map(JobResult::Ranked),
            Task::Compress(bytes) => self
                .pipeline
                .compress(bytes, &mut stages)
                .map(|jpeg| JobResult::Compressed(jpeg.into()))
                .map_err(|fault| failure(&fault.into(), Subject::Image)),
            Task::Examine(asked) => self
                .pipeline
                .examine(asked, &mut stages)
                .map_err(|fault| failure(&fault.fault, fault.subject))
                .and_then(|examined| identify(examined, &self.comparator))
                .map(|examined| JobResult::Examined(Box::new(examined))),
        };
        (outcome, Times { decode: stages.decode + digesting, infer: stages.infer() })
    }

    fn estimate_age(
        &mut self,
        picture: &Coding<Bytes>,
        stages: &mut StageTimes,
        digesting: &mut Duration,
    ) -> Result<AgedPicture, JobFailure> {
        let aged = self
            .pipeline
            .estimate_age(&picture.picture, options(picture), stages)
            .map_err(|fault| failure(&fault, Subject::Image))?;
        let digest = digest_of(picture, digesting);
        Ok(match aged {
            Some(AgedFace { quality, age }) => AgedPicture { digest, quality, age },
            None => AgedPicture { digest, quality: QUALITY_NOBODY, age: None },
        })
    }

    fn compare(
        &mut self,
        reference: &Reference<Bytes>,
        candidate: &Coding<Bytes>,
        stages: &mut StageTimes,
        digesting: &mut Duration,
    ) -> Outcome {
        let (reference, reference_embedding, candidate_coded) = match reference {
            Reference::Template(embedding) => {
                self.comparator.check(embedding)?;
                (None, embedding.clone(), self.code(candidate, Subject::Candidate, stages)?)
            }
            Reference::Picture(picture) => {
                let (reference_coded, candidate_coded) = self.code_pair(picture, candidate, stages)?;
                let described = self.describe(picture, &reference_coded, digesting);
                let embedding = embedding_of(&described, Subject::Reference)?;
                (Some(described), embedding, candidate_coded)
            }
        };
        let candidate = self.describe(candidate, &candidate_coded, digesting);
        let candidate_embedding = embedding_of(&candidate, Subject::Candidate)?;
        let far = self.comparator.far(&reference_embedding, &candidate_embedding)?;
        Ok(JobResult::Matched(Box::new(Matched { reference, candidate, far })))
    }

    fn code(
        &mut self,
        picture: &Coding<Bytes>,
        subject: Subject,
        stages: &mut StageTimes,
    ) -> Result<Coded, JobFailure> {
        self.pipeline
            .code(&picture.picture, options(picture), stages)
            .map_err(|fault| failure(&fault, subject))
    }

    /// Codes both pictures, in one run of the embedding.
    fn code_pair(
        &mut self,
        reference: &Coding<Bytes>,
        candidate: &Coding<Bytes>,
        stages: &mut StageTimes,
    ) -> Result<(Coded, Coded), JobFailure> {
        let pictures = [reference, candidate].map(|picture| (picture.picture.as_ref(), options(picture)));
        let mut coded = self.pipeline.code_all(&pictures, stages).into_iter();
        let mut next = |subject| match coded.next() {
            Some(coded) => coded.map_err(|fault| failure(&fault, subject)),
            None => Err(JobFailure::Internal),
        };
        Ok((next(Subject::Reference)?, next(Subject::Candidate)?))
    }

    fn describe(&self, picture: &Coding<Bytes>, coded: &Coded, digesting: &mut Duration) -> CodedPicture {
        let digest = digest_of(picture, digesting);
        let face = coded.face.as_ref().map(|face| self.face(face));
        CodedPicture { digest, face }
    }

    fn face(&self, face: &pipeline::CodedFace) -> CodedFace {
        CodedFace {
            quality: face.quality,
            eyes: face.eyes,
            bounding_box: face.bounding_box,
            embedding: self.comparator.embedding(&face.embedding),
        }
    }
}

fn digest_of(picture: &Coding<Bytes>, digesting: &mut Duration) -> String {
    let started = Instant::now();
    let digest = sha256(&picture.picture);
    *digesting += started.elapsed();
    digest
}

fn options(picture: &Coding<Bytes>) -> CodingOptions {
    CodingOptions { image_type: picture.image_type, rotate: picture.rotate }
}

fn embedding_of(coded: &CodedPicture, subject: Subject) -> Result<Embedding, JobFailure> {
    let face = coded.face.as_ref().ok_or(JobFailure::NoFace { subject })?;
    Ok(face.embedding.clone())
}

fn failure(fault: &CodingFault, subject: Subject) -> JobFailure {
    match fault {
        CodingFault::Picture(fault) => JobFailure::BadPicture { subject, reason: fault.to_string() },
        CodingFault::SeveralFaces => JobFailure::SeveralFaces { subject },
        CodingFault::Inference(error) => {
            tracing::error!(%error, "a model failed");
            JobFailure::Internal
        }
    }
}

/// The digest of a picture: SHA-256 in lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256_in_lower_case_hex() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), of_abc);
    }
}
