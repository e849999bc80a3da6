//! A lane: jobs of one kind, with the handler that does them and its slots.

use std::sync::Arc;

use faceline_shared::job::Task;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::consuming_period::ConsumingPeriod;
use super::handler::Handler;

/// The handler for jobs of one kind, and its slots.
pub(super) struct Lane {
    pub(super) handler: Arc<dyn Handler>,
    /// The handler's free slots.
    slots: Arc<Semaphore>,
    pub(super) all_slots: u16,
}

impl Lane {
    fn new(handler: Arc<dyn Handler>) -> Self {
        let all_slots = handler.slots().clamp(1, u16::MAX.into()) as u16;
        Self { handler, slots: Arc::new(Semaphore::new(all_slots.into())), all_slots }
    }

    /// Whether the handler can do jobs at present.
    pub(super) fn is_available(&self) -> bool {
        self.handler.availability().is_available()
    }

    async fn acquire(&self, slots: u16) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_many_owned(slots.into()).await.ok()
    }
}

/// The lanes of a worker.
pub(super) struct Lanes {
    pub(super) pictures: Lane,
    /// `None` if this worker takes no videos.
    pub(super) videos: Option<Lane>,
}

impl Lanes {
    /// Lanes for pictures only.
    pub(super) fn new(pictures: Arc<dyn Handler>) -> Self {
        Self { pictures: Lane::new(pictures), videos: None }
    }

    /// Adds a lane for videos.
    pub(super) fn with_videos(self, videos: Arc<dyn Handler>) -> Self {
        Self { videos: Some(Lane::new(videos)), ..self }
    }

    /// The lane of a task; `None` if this worker does not do such tasks.
    pub(super) fn of<P>(&self, task: &Task<P>) -> Option<&Lane> {
        if task.is_about_video() { self.videos.as_ref() } else { Some(&self.pictures) }
    }

    /// The lane of videos, if it can do jobs at present.
    pub(super) fn usable_videos(&self) -> Option<&Lane> {
        self.videos.as_ref().filter(|videos| videos.is_available())
    }

    /// Waits until videos can be judged, if they are not taken yet; otherwise for ever.
    pub(super) async fn videos_return(&self, are_taken: bool) {
        match &self.videos {
            Some(videos) if !are_taken => videos.handler.availability().until(true).await,
            _ => std::future::pending().await,
        }
    }

    /// Waits for a slot of `lane`; `None` if the period ends first.
    pub(super) async fn slot(&self, lane: &Lane, period: &ConsumingPeriod) -> Option<OwnedSemaphorePermit> {
        let slot = period.ending.run_until_cancelled(lane.acquire(1)).await??;
        // Both may have happened before this task ran again.
        (!period.ending.is_cancelled()).then_some(slot)
    }

    /// Waits for all slots of all lanes, so that a job runs alone; `None` if the period ends first.
    pub(super) async fn all_slots(&self, period: &ConsumingPeriod) -> Option<Vec<OwnedSemaphorePermit>> {
        let acquire = async {
            let mut slots = Vec::new();
            // Videos come first: they take long, and pictures go on while this waits for them.
            for lane in self.videos.iter().chain([&self.pictures]) {
                slots.push(lane.acquire(lane.all_slots).await?);
            }
            Some(slots)
        };
        let slots = period.ending.run_until_cancelled(acquire).await??;
        (!period.ending.is_cancelled()).then_some(slots)
    }
}
