//! The classes of jobs. Each has its own limit, estimates and reservations.

use faceline_shared::broker::Queue;

/// The kind of media in a job. Videos wait in a queue of their own and take a hundred times as long as pictures, so the
/// wait of one class says nothing about the wait of the other.
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

/// One value for each class.
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
