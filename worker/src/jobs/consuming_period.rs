//! The period between the opening and the closing of a consumer's streams.

use std::time::Duration;

use faceline_shared::broker::Settlement;
use faceline_shared::shutdown::CancellationToken;

/// A period in which a consumer takes jobs. It ends at the shutdown, or when no model runs: first no job is started any
/// more, then the streams close, then jobs that were not started go back to their queue.
#[derive(Clone)]
pub(super) struct ConsumingPeriod {
    /// No job is started any more.
    pub(super) ending: CancellationToken,
    /// The streams are closed. A job that was given back earlier would be delivered to this worker again.
    pub(super) streams_closed: CancellationToken,
    /// The time for finishing jobs is over: jobs in progress go back, too.
    pub(super) drain_over: CancellationToken,
}

impl ConsumingPeriod {
    /// A period that ends with `shutdown` at the latest.
    pub(super) fn new(shutdown: &CancellationToken, drain_over: &CancellationToken) -> Self {
        Self {
            ending: shutdown.child_token(),
            streams_closed: CancellationToken::new(),
            drain_over: drain_over.clone(),
        }
    }

    /// Returns how to settle a job that was not done, after a pause, or once the streams are closed if the period ends before.
    pub(super) async fn give_back_after(&self, pause: Duration) -> Settlement {
        match self.ending.run_until_cancelled(tokio::time::sleep(pause)).await {
            Some(()) => Settlement::GiveBack,
            None => self.give_back().await,
        }
    }

    /// Returns how to settle a job that was not done, once the streams are closed. Earlier, it would be delivered to
    /// this worker again.
    pub(super) async fn give_back(&self) -> Settlement {
        self.streams_closed.cancelled().await;
        Settlement::GiveBack
    }
}
