//! What a worker does with a job, apart from how jobs come and answers go.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::face::{Embedding, ImageType};
use faceline_shared::job::{Outcome, Ranking};
use faceline_shared::liveness::Examination;

/// A picture whose bytes are here.
#[derive(Clone, Debug)]
pub struct FetchedPicture {
    /// The file.
    pub bytes: Bytes,
    /// Its kind.
    pub image_type: ImageType,
    /// Look for faces that lie on their side or stand on their head, too.
    pub rotate: bool,
}

/// The known side of a comparison.
#[derive(Clone, Debug)]
pub enum FetchedReference {
    /// A picture that is coded first.
    Picture(FetchedPicture),
    /// A template that was made before.
    Template(Embedding),
}

/// A job whose pictures are here.
#[derive(Clone, Debug)]
pub enum Work {
    /// Describe the face in a picture.
    Code(FetchedPicture),
    /// Estimate the age of the person in a picture.
    EstimateAge(FetchedPicture),
    /// Compare two faces.
    Match {
        /// One side.
        reference: FetchedReference,
        /// The other side.
        candidate: FetchedPicture,
    },
    /// Compare a face with many.
    Rank(Ranking),
    /// Make a picture a JPEG.
    Compress(Bytes),
    /// Say whether live pictures show a living person, and whether that is the one in a photo.
    Examine(Examination<Bytes>),
}

/// Where the time of a job went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Decoding and digesting the files.
    pub decode: Duration,
    /// Running the models, and what belongs to it.
    pub infer: Duration,
}

/// Does the work of jobs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Jobs that it takes at the same time.
    fn slots(&self) -> usize;

    /// Does a job. Called with at most [`Handler::slots`] jobs at a time.
    async fn handle(&self, work: Work) -> (Outcome, Times);
}
