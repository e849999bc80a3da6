//! The adapters of the gateway's stores, against real servers. Each port has one suite, which all of its adapters pass.
#![expect(
    clippy::unwrap_used,
    reason = "what clippy.toml allows in tests does not reach the functions that they share"
)]

mod clients;
mod embedded;
mod failover;
mod fixture;
mod idempotency;
mod outbox;
mod rate;
mod redis;
mod sessions;

use std::future::Future;
use std::time::Duration;

/// Time limit of every wait in a test, long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The result of `future`, within the time limit.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it takes too long")
}
