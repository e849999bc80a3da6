//! The task that delivers deferred usage records to the outbox. It retries at growing intervals.

use std::time::Duration;

use faceline_shared::retry::Backoff;
use faceline_shared::shutdown::CancellationToken;
use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval};

use super::recorder::Usage;
use super::spill::Segment;

/// Maximum number of deferred records that are written at the same time. An embedded store uses one fsync for them.
const MAX_CONCURRENT_WRITES: usize = 64;
/// Interval at which the task looks for files that a dead process left.
const ADOPTION_INTERVAL: Duration = Duration::from_mins(1);

/// A segment that is being delivered.
struct Delivery {
    segment: Segment,
    delivered: usize,
}

impl Usage {
    /// Delivers deferred records until `end`, and then tries once more.
    pub(super) async fn redeliver(&self, end: &CancellationToken) {
        let mut retries = Backoff::BACKGROUND.retries();
        let mut adoption = interval(ADOPTION_INTERVAL);
        adoption.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unfinished = None;
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                // The first tick is at once: files of the last process are delivered at the start.
                _ = adoption.tick() => self.spill.adopt(),
                () = self.record_deferred.notified() => {
                    // The outbox has just failed.
                    tokio::select! {
                        () = end.cancelled() => break,
                        () = retries.wait() => (),
                    }
                }
            }
            while !self.deliver_all(&mut unfinished).await {
                tokio::select! {
                    () = end.cancelled() => break,
                    () = retries.wait() => (),
                }
            }
            if end.is_cancelled() {
                break;
            }
            retries.reset();
        }
        self.finish_writes().await;
        if self.deliver_all(&mut unfinished).await {
            return;
        }
        self.report_rest(unfinished).await;
    }

    /// Delivers all segments. Returns false if the outbox fails; `unfinished` then holds the segment to deliver next.
    async fn deliver_all(&self, unfinished: &mut Option<Delivery>) -> bool {
        loop {
            if unfinished.is_none() {
                *unfinished = self.spill.take().await.map(|segment| Delivery { segment, delivered: 0 });
            }
            let Some(delivery) = unfinished else {
                // The next record finds out, even if the spill could not keep any.
                self.try_outbox_again();
                return true;
            };
            if !self.deliver(delivery).await {
                return false;
            }
            if let Some(Delivery { segment, .. }) = unfinished.take() {
                segment.delete();
            }
        }
    }

    /// Delivers the rest of a segment. Returns false if the outbox fails.
    async fn deliver(&self, delivery: &mut Delivery) -> bool {
        while delivery.delivered < delivery.segment.rows().len() {
            let rest = &delivery.segment.rows()[delivery.delivered..];
            // A single row shows whether the outbox is available again, so the others do not all wait for that.
            let count = if delivery.delivered == 0 { 1 } else { rest.len().min(MAX_CONCURRENT_WRITES) };
            let tried = join_all(rest[..count].iter().map(|row| self.try_write(row.clone()))).await;
            if let Some(Err(reason)) = tried.into_iter().find(Result::is_err) {
                // The rows of the batch that were written are written again, under the same ids.
                tracing::warn!(reason, "deferred usage records cannot be delivered yet");
                return false;
            }
            delivery.delivered += count;
            self.metrics.written.inc_by(count as u64);
            self.metrics.delivered.inc_by(count as u64);
        }
        true
    }

    /// Logs the undelivered records at the end of the process, and counts those in memory as lost.
    async fn report_rest(&self, unfinished: Option<Delivery>) {
        let (mut kept, mut lost) = (0, 0);
        let mut next = unfinished;
        while let Some(Delivery { segment, delivered }) = next {
            let left = segment.rows().len() - delivered;
            if segment.is_on_disk() {
                kept += left;
            } else {
                lost += left;
            };
            next = self.spill.take().await.map(|segment| Delivery { segment, delivered: 0 });
        }
        tracing::warn!(records = kept, "deferred usage records stay on the disk for the next process");
        if lost > 0 {
            self.metrics.lost.inc_by(lost as u64);
            tracing::error!(
                lost,
                "usage records are lost: neither the store nor the disk took them before the shutdown"
            );
        }
    }
}
