//! Files that are followed: looked at again and again while the gateway runs.

use std::time::Duration;

/// Calls `look` every `interval`, on a thread that may wait for the disk, for as long as it is polled. `what` it is that is
/// looked at stands in the log, should looking fail.
pub(crate) async fn follow(what: &str, interval: Duration, look: impl Fn() + Clone + Send + 'static) {
    let mut interval = tokio::time::interval(interval);
    loop {
        interval.tick().await;
        if let Err(error) = tokio::task::spawn_blocking(look.clone()).await {
            tracing::error!(%error, what, "looking after a file failed");
        }
    }
}
