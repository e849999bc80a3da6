//! Tasks for a worker, generic over how a picture is carried.
//!
//! A gateway holds a `Task<Bytes>`. The envelope carries it as a `Task<CarriedPicture>`, whose pictures are in the
//! message or in the blob store. The worker fetches the pictures and holds a `Task<Bytes>` again.

use serde::{Deserialize, Serialize};

use super::examination::Examination;
use super::replay::{Replay, VideoExamination};
use super::subject::Subject;
use crate::broker::Queue;
use crate::face::{Embedding, ImageType};

/// A task for a worker. `P` is the representation of a picture.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Task<P> {
    /// Describe the face in a picture: find it, assess its quality, compute its embedding.
    Code(Coding<P>),
    /// Compare two faces.
    Match(Box<Match<P>>),
    /// Compare one template with many.
    Rank(Box<Ranking>),
    /// Estimate the age of the person in a picture.
    EstimateAge(Coding<P>),
    /// Convert a picture to JPEG.
    Compress(P),
    /// Detect liveness in one or two pictures, and compare the person in them with the one in a photo.
    Examine(Box<Examination<P>>),
    /// Judge an uploaded video. Nobody waits for the answer, which goes to the gateways' queue of results.
    Replay(Box<Replay>),
    /// Judge a video whose caller waits.
    ExamineVideo(VideoExamination<P>),
}

/// A picture and how to code the face in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Coding<P> {
    /// The file.
    pub picture: P,
    /// The kind of picture, which decides how several faces are treated.
    pub image_type: ImageType,
    /// Also search for faces that are rotated by 90, 180 or 270 degrees.
    pub rotate: bool,
}

/// A comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Match<P> {
    /// The known person's side.
    pub reference: Reference<P>,
    /// The side that is compared with the reference.
    pub candidate: Coding<P>,
}

/// The known person's side of a comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Reference<P> {
    /// A picture, whose embedding the worker computes first.
    Picture(Coding<P>),
    /// A template, which contains the embedding.
    Template(Embedding),
}

/// A comparison of one template with many.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ranking {
    /// The template to compare with.
    pub reference: Embedding,
    /// The templates that are compared with the reference.
    pub candidates: Vec<Embedding>,
}

impl<P> Task<P> {
    /// The queue that the task's jobs go to: videos have their own, so that they do not delay pictures.
    #[must_use]
    pub fn queue(&self) -> Queue {
        if self.is_about_video() { Queue::Replay } else { Queue::Interactive }
    }

    /// Whether the task is to judge a video.
    #[must_use]
    pub fn is_about_video(&self) -> bool {
        matches!(self, Self::Replay(_) | Self::ExamineVideo(_))
    }

    /// The task's pictures and videos that travel with it.
    #[must_use]
    pub fn pictures(&self) -> Vec<&P> {
        match self {
            Self::Code(coding) | Self::EstimateAge(coding) => vec![&coding.picture],
            Self::Match(compared) => match &compared.reference {
                Reference::Picture(reference) => vec![&reference.picture, &compared.candidate.picture],
                Reference::Template(_) => vec![&compared.candidate.picture],
            },
            Self::Compress(picture) => vec![picture],
            Self::Rank(_) | Self::Replay(_) => Vec::new(),
            Self::Examine(examination) => examination.pictures().collect(),
            Self::ExamineVideo(examination) => vec![&examination.video],
        }
    }

    /// Returns the task with every picture replaced by the result of `carry`.
    pub fn map<Q>(self, mut carry: impl FnMut(Subject, P) -> Q) -> Task<Q> {
        match self {
            Self::Code(coding) => Task::Code(coding.map(|picture| carry(Subject::Image, picture))),
            Self::EstimateAge(coding) => {
                Task::EstimateAge(coding.map(|picture| carry(Subject::Image, picture)))
            }
            Self::Match(compared) => {
                let Match { reference, candidate } = *compared;
                let reference = match reference {
                    Reference::Picture(coding) => {
                        Reference::Picture(coding.map(|picture| carry(Subject::Reference, picture)))
                    }
                    Reference::Template(embedding) => Reference::Template(embedding),
                };
                let candidate = candidate.map(|picture| carry(Subject::Candidate, picture));
                Task::Match(Box::new(Match { reference, candidate }))
            }
            Self::Rank(ranking) => Task::Rank(ranking),
            Self::Compress(picture) => Task::Compress(carry(Subject::Image, picture)),
            Self::Examine(examination) => Task::Examine(Box::new(examination.map(carry))),
            Self::Replay(replay) => Task::Replay(replay),
            Self::ExamineVideo(VideoExamination { video, level }) => {
                Task::ExamineVideo(VideoExamination { video: carry(Subject::Video, video), level })
            }
        }
    }
}

impl<F, Q, E> Task<F>
where
    F: Future<Output = Result<Q, E>>,
{
    /// Awaits the task's pictures one after another.
    ///
    /// # Errors
    /// The error of the first picture that fails.
    pub async fn resolve(self) -> Result<Task<Q>, E> {
        Ok(match self {
            Self::Code(coding) => Task::Code(coding.resolve().await?),
            Self::EstimateAge(coding) => Task::EstimateAge(coding.resolve().await?),
            Self::Match(compared) => {
                let Match { reference, candidate } = *compared;
                let reference = match reference {
                    Reference::Picture(coding) => Reference::Picture(coding.resolve().await?),
                    Reference::Template(embedding) => Reference::Template(embedding),
                };
                Task::Match(Box::new(Match { reference, candidate: candidate.resolve().await? }))
            }
            Self::Rank(ranking) => Task::Rank(ranking),
            Self::Compress(picture) => Task::Compress(picture.await?),
            Self::Examine(examination) => Task::Examine(Box::new(examination.resolve().await?)),
            Self::Replay(replay) => Task::Replay(replay),
            Self::ExamineVideo(VideoExamination { video, level }) => {
                Task::ExamineVideo(VideoExamination { video: video.await?, level })
            }
        })
    }
}

impl<P> Coding<P> {
    fn map<Q>(self, carry: impl FnOnce(P) -> Q) -> Coding<Q> {
        let Self { picture, image_type, rotate } = self;
        Coding { picture: carry(picture), image_type, rotate }
    }
}

impl<F, Q, E> Coding<F>
where
    F: Future<Output = Result<Q, E>>,
{
    async fn resolve(self) -> Result<Coding<Q>, E> {
        let Self { picture, image_type, rotate } = self;
        Ok(Coding { picture: picture.await?, image_type, rotate })
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::liveness::SecurityLevel;

    fn coding(picture: u8) -> Coding<u8> {
        Coding { picture, image_type: ImageType::Selfie, rotate: false }
    }

    /// One of each kind, with pictures 1, 2 and so on.
    fn tasks() -> [Task<u8>; 8] {
        let embedding = || Embedding::new("A", 1, &[1.0]);
        let matched =
            |reference, candidate| Task::Match(Box::new(Match { reference, candidate: coding(candidate) }));
        [
            Task::Code(coding(1)),
            Task::EstimateAge(coding(1)),
            matched(Reference::Picture(coding(1)), 2),
            matched(Reference::Template(embedding()), 1),
            Task::Rank(Box::new(Ranking { reference: embedding(), candidates: vec![embedding()] })),
            Task::Compress(1),
            Task::Examine(Box::new(Examination {
                live: vec![1, 2],
                photo: Some(3),
                liveness: true,
                challenge: Vec::new(),
            })),
            Task::ExamineVideo(VideoExamination { video: 1, level: SecurityLevel::High }),
        ]
    }

    #[tokio::test]
    async fn every_picture_of_a_task_is_carried_and_arrives_in_its_place() {
        for task in tasks() {
            let before: Vec<u8> = task.pictures().into_iter().copied().collect();
            assert_eq!(before, (1..=before.len() as u8).collect::<Vec<_>>());
            let kind = format!("{task:?}");
            let carried = task.map(|_, picture| ready(Ok::<_, ()>(picture))).resolve().await.unwrap();
            assert_eq!(format!("{carried:?}"), kind);
        }
    }

    #[tokio::test]
    async fn the_first_picture_that_fails_fails_the_task() {
        for task in tasks() {
            let pictures = task.pictures().len();
            let failed = task.map(|_, picture| ready(Err::<u8, _>(picture))).resolve().await;
            assert_eq!(failed.err(), (pictures > 0).then_some(1));
        }
    }
}
