//! The time limit of a check.

use std::time::Duration;

use super::finding::Finding;

/// Time limit for a server's answer.
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// The findings of `check`, or one that it did not end in time.
pub(super) async fn limited(
    name: &'static str,
    limit: Duration,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::time::timeout(limit, check).await.unwrap_or_else(|_| {
        vec![Finding::problem(
            name,
            format!("no answer within {} s", limit.as_secs()),
            "check whether the server runs, whether the address in the settings is right, and whether a firewall or NetworkPolicy drops \
             the connection",
        )]
    })
}
