//! Checks after the end of load and faults.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use faceline_shared::broker::Queue;
use faceline_shared::settings::Settings;
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use super::inject::listed_of;
use super::site::{GATEWAYS, Site, WORKERS};
use crate::load::{Driver, Targets, probe};

/// Time for all gateways to move their usage records to the object store.
pub(super) const USAGE_TIME: Duration = Duration::from_mins(2);
/// Time for the queues of jobs and results to be empty, once no request waits.
const QUEUES_TIME: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The metric of the jobs that a worker has answered, by outcome.
const ANSWERED_JOBS: &str = "faceline_worker_answered_total";
/// The gateways are probed in at most this many rounds, until each worker has answered a job. RabbitMQ gives jobs to
/// idle consumers round robin, and a round has more jobs than there are workers, so one round should suffice.
const MAX_PROBE_ROUNDS: u32 = 10;
/// A gateway leases the row of a callback for `callbacks.timeout` plus these two: the time to look up the session
/// (`LOOKUP_TIME` in `gateway/src/replays/callbacks/worker.rs`) and the time to settle the row (`SETTLE_TIME` in
/// `gateway/src/outbox/lane_worker.rs`).
const LOOKUP_TIME: Duration = Duration::from_secs(10);
const ROW_SETTLE_TIME: Duration = Duration::from_secs(5);
/// Upper bound of the first three delays before a callback is sent again: the first is a second at most, and each is
/// twice the one before (`RETRIES` in `gateway/src/replays/callbacks/worker.rs`).
const FIRST_RETRIES: Duration = Duration::from_secs(1 + 2 + 4);
/// Gateways poll the outbox every second. A row waits for that after its lease, and after each of the three delays.
const OUTBOX_POLLS: Duration = Duration::from_secs(4);

/// Checks that could not be made, with the reasons.
#[derive(Debug, Default)]
pub(super) struct CheckErrors(Vec<String>);

impl CheckErrors {
    /// Makes a check and returns its result. Keeps an error or a panic, and returns `None` instead. (The test kit
    /// panics if a server refuses a command.)
    pub(super) async fn keep<T>(
        &mut self,
        what: &str,
        check: impl Future<Output = anyhow::Result<T>>,
    ) -> Option<T> {
        let error = match AssertUnwindSafe(check).catch_unwind().await {
            Ok(Ok(found)) => return Some(found),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic_message(&*panic),
        };
        self.0.push(format!("{what}: {error}"));
        None
    }

    /// The errors, each with the name of its check.
    pub(super) fn into_texts(self) -> Vec<String> {
        self.0
    }
}

/// The message of a panic; empty if it has none.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Upper bound of the time until a gateway sends a callback again whose delivery it did not record.
pub(super) fn quiet_time() -> Duration {
    let lease = Settings::default().callbacks.timeout + LOOKUP_TIME + ROW_SETTLE_TIME;
    lease + FIRST_RETRIES + OUTBOX_POLLS
}

/// Sends each gateway alone a request of each operation, until each worker has answered a job. Returns the failures.
pub(super) async fn probe_gateways(site: &Site, driver: &Driver) -> anyhow::Result<Vec<String>> {
    let before = answered_jobs(site).await?;
    let mut errors = Vec::new();
    let mut idle: Vec<_> = (0..WORKERS).collect();
    for round in 0..MAX_PROBE_ROUNDS {
        for (place, url) in site.urls.iter().enumerate() {
            let targets = Arc::new(Targets::new(slice::from_ref(url)));
            let alone = Driver { targets, ..driver.clone() };
            // Each probe has requests, and idempotency keys, of its own.
            if let Err(error) = probe(&alone, round * GATEWAYS as u32 + place as u32).await {
                errors.push(format!("gateway {place}: {error:#}"));
            }
        }
        let now = answered_jobs(site).await?;
        idle.retain(|worker| now[*worker] <= before[*worker]);
        if idle.is_empty() || !errors.is_empty() {
            break;
        }
    }
    if errors.is_empty() {
        errors.extend(idle.iter().map(|worker| format!("worker {worker} has answered no job of the probes")));
    }
    Ok(errors)
}

/// The number of jobs that each worker has answered since its start.
async fn answered_jobs(site: &Site) -> anyhow::Result<Vec<f64>> {
    let workers = site.workers.iter();
    try_join_all(workers.map(async |worker| worker.lock().await.metric(ANSWERED_JOBS).await)).await
}

/// Returns the number of messages in the queues of jobs and results, delivered and unsettled ones included. Waits up to
/// [`QUEUES_TIME`] for it to become 0. A consumer whose deliveries no task takes would hold some.
pub(super) async fn unsettled_messages(site: &Site) -> anyhow::Result<u64> {
    let queues = [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results];
    let until = Instant::now() + QUEUES_TIME;
    loop {
        let listed = site.brokers[0].lock().await.control(&["list_queues", "name", "messages"]).await;
        let messages = |queue: &Queue| -> anyhow::Result<u64> { Ok(listed_of(&listed, queue)?.parse()?) };
        let unsettled = queues.iter().map(messages).sum::<anyhow::Result<u64>>()?;
        if unsettled == 0 || Instant::now() > until {
            return Ok(unsettled);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// All usage records, once the gateways have moved them to the object store.
pub(super) async fn exported_usage(site: &Site) -> anyhow::Result<String> {
    let moved = async {
        for gateway in &site.gateways {
            let gateway = gateway.lock().await;
            for name in ["faceline_usage_deferred_records", "faceline_usage_rows"] {
                while gateway.metric(name).await? > 0.0 {
                    sleep(POLL_INTERVAL).await;
                }
            }
        }
        anyhow::Ok(())
    };
    timeout(USAGE_TIME, moved).await.context("the gateways do not move their usage records")??;
    let mut export = site.gateways[0].lock().await.command()?;
    // One day more on both sides, in case midnight passes during the run, or a clock jumps over it.
    let now = OffsetDateTime::now_utc();
    let [from, to] = [now - time::Duration::DAY, now + time::Duration::DAY].map(|at| at.date().to_string());
    let output = export
        .args(["usage", "export", "--records", "--format", "json", "--from", &from, "--to", &to])
        .output()
        .await?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "usage export: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use std::future::{poll_fn, ready};
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn an_error_and_a_panic_of_a_check_are_kept_and_the_next_check_goes_on() {
        let mut errors = CheckErrors::default();
        let failed: Option<()> = errors.keep("a", ready(Err(anyhow::anyhow!("refused")))).await;
        let panics = poll_fn(|_| -> Poll<anyhow::Result<()>> { panic!("no node") });
        let panicked = errors.keep("b", panics).await;
        let counted = errors.keep("c", ready(Ok(3))).await;
        assert_eq!((failed, panicked, counted), (None, None, Some(3)));
        assert_eq!(errors.into_texts(), ["a: refused", "b: no node"]);
    }
}
