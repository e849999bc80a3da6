//! Intermediate results of a search.

use super::candidate::Candidate;
use super::choice::Choice;
use super::evidence::Evidence;
use crate::picture::{Chip, Picture, Source};
use crate::pipeline::models::FaceEmbedding;

/// A picture after the first search, which covers it as a whole.
pub(crate) struct Searched<'b> {
    pub(crate) source: Source<'b>,
    pub(crate) picture: Picture,
    /// The most likely one first. Where the detector found a face at half its size, that face alone.
    pub(super) candidates: Vec<Candidate>,
    /// Whether the only candidate was found at half the detector's size. If it turns out to be no face, the picture has
    /// not been searched.
    pub(super) found_at_half_size: bool,
    pub(super) choice: Choice,
    /// Whether faces may lie on their side or upside down.
    pub(super) rotate: bool,
}

/// A candidate with precise landmarks, aligned and embedded.
pub(crate) struct Embedded {
    pub(crate) candidate: Candidate,
    /// The aligned face.
    pub(crate) chip: Chip,
    pub(crate) embedding: FaceEmbedding,
}

/// A candidate that is a face.
pub(crate) struct FoundFace {
    pub(crate) embedded: Embedded,
    pub(super) evidence: Evidence,
}

impl FoundFace {
    pub(super) fn candidate(&self) -> &Candidate {
        &self.embedded.candidate
    }

    pub(super) fn eye_distance(&self) -> f32 {
        self.candidate().eye_distance()
    }
}
