//! The challenge to a person, and its directions as they are seen in a clip.

use faceline_shared::job::examination::Direction;
use faceline_shared::job::replay::ChallengeEvent;

/// The challenge to a person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    /// The directions in their order: where the person was asked to look, in a mirrored picture of that person. So left
    /// is the person's own left.
    pub(crate) directions: &'a [Direction],
    /// Times at which the device showed each of them; empty if it did not report them.
    pub(crate) events: &'a [ChallengeEvent],
    /// Whether the clip's frames are mirrored.
    pub(crate) mirrored: bool,
}

impl Challenge<'_> {
    /// The directions as they are seen in the clip's frames.
    pub(super) fn seen(&self) -> Vec<Direction> {
        let seen = |&direction| match direction {
            Direction::Left if !self.mirrored => Direction::Right,
            Direction::Right if !self.mirrored => Direction::Left,
            other => other,
        };
        self.directions.iter().map(seen).collect()
    }
}
