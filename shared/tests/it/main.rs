//! Tests of the ports' adapters against real servers. Each port has one suite, which all of its adapters pass.
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions only, not in the helpers that they share"
)]

mod blob;
mod broker;
mod files;
mod object;
mod redis_tls;
mod replay_vectors;

use std::future::Future;
use std::time::Duration;

/// Timeout for everything that a test waits for; long enough for a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A test waits for this time before it concludes that an event does not happen.
const QUIET_PERIOD: Duration = Duration::from_millis(200);

/// Awaits `future` with a timeout.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.expect("it takes too long")
}

/// Asserts that `future` does not complete.
async fn never<T>(future: impl Future<Output = T>) {
    assert!(tokio::time::timeout(QUIET_PERIOD, future).await.is_err(), "it must not happen");
}
