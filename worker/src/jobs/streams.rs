//! The open streams of a consumer.

use faceline_shared::broker::{Deliveries, Delivery, Queue, SharedBroker};

use super::lane::Lanes;

/// The streams from which a consumer takes jobs.
pub(super) struct Streams {
    pictures: Box<dyn Deliveries>,
    quarantine: Box<dyn Deliveries>,
    /// `None` while videos cannot be judged here. Other workers then get them.
    videos: Option<Box<dyn Deliveries>>,
}

impl Streams {
    /// Opens the streams of all lanes that can do jobs. `prefetch` is for pictures.
    pub(super) async fn open(broker: &SharedBroker, lanes: &Lanes, prefetch: u16) -> Self {
        Self {
            pictures: broker.consume(&Queue::Interactive, prefetch).await,
            quarantine: broker.consume(&Queue::Quarantine, 1).await,
            videos: match lanes.usable_videos() {
                Some(videos) => Some(broker.consume(&Queue::Replay, videos.all_slots).await),
                None => None,
            },
        }
    }

    /// Whether the videos' stream is open.
    pub(super) fn has_videos(&self) -> bool {
        self.videos.is_some()
    }

    /// The next delivery and its queue; no delivery if the broker was closed.
    pub(super) async fn next(&mut self) -> (Queue, Option<Delivery>) {
        let videos = async {
            match &mut self.videos {
                Some(videos) => videos.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            delivery = self.pictures.next() => (Queue::Interactive, delivery),
            delivery = self.quarantine.next() => (Queue::Quarantine, delivery),
            delivery = videos => (Queue::Replay, delivery),
        }
    }

    /// Closes the streams.
    pub(super) async fn close(&mut self) {
        let videos = async {
            if let Some(videos) = &mut self.videos {
                videos.close().await;
            }
        };
        tokio::join!(self.pictures.close(), self.quarantine.close(), videos);
    }
}
