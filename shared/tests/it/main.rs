//! The adapters of the ports, against real servers. Each port has one suite that all of its adapters pass.
#![expect(
    clippy::unwrap_used,
    reason = "what clippy.toml allows in tests does not reach the functions that they share"
)]

mod blob;
mod broker;
mod files;
mod object;

use std::future::Future;
use std::time::Duration;

/// Time in which anything that a test waits for happens, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(60);

/// Time after which what must not happen is taken not to happen.
const QUIET: Duration = Duration::from_millis(200);

/// What comes of `future`, which must not take long.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it takes too long")
}

/// Asserts that `future` does not come to an end.
async fn never<T>(future: impl Future<Output = T>) {
    assert!(tokio::time::timeout(QUIET, future).await.is_err(), "it must not happen");
}
