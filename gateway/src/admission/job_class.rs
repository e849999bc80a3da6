//! The classes of jobs. Each has its own limit, estimates and reservations.

use faceline_shared::broker::Queue;

/// What a job is about. Videos wait in a queue of their own and take a hundred times as long as pictures, so neither says
/// anything about how long the other waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JobClass {
    /// Pictures.
    #[default]
    Pictures,
    /// A video.
    Video,
}

impl JobClass {
    /// The class of the jobs in `queue`.
    #[must_use]
    pub fn of_queue(queue: &Queue) -> Self {
        if *queue == Queue::Replay { Self::Video } else { Self::Pictures }
    }
}

/// Something for each class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerClass<T> {
    pub(super) pictures: T,
    pub(super) video: T,
}

impl<T> PerClass<T> {
    pub(super) fn of(&self, class: JobClass) -> &T {
        match class {
            JobClass::Pictures => &self.pictures,
            JobClass::Video => &self.video,
        }
    }

    pub(super) fn of_mut(&mut self, class: JobClass) -> &mut T {
        match class {
            JobClass::Pictures => &mut self.pictures,
            JobClass::Video => &mut self.video,
        }
    }
}
