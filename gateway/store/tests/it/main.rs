//! The adapters of the gateway's stores, against real servers. Each port has one suite that all of its adapters pass.
#![expect(
    clippy::unwrap_used,
    reason = "what clippy.toml allows in tests does not reach the functions that they share"
)]

mod rate;
mod session;

use std::future::Future;
use std::time::Duration;

/// Time in which anything that a test waits for happens, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(60);

/// What comes of `future`, which must not take long.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it takes too long")
}
