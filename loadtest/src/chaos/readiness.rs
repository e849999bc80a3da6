//! Checks the readiness of a program at its operators' listener.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time between two requests.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time limit for an answer. A program that a signal has stopped accepts connections and does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a program whether it is ready. This takes no lock of the program, because a fault may hold it.
pub(super) struct ReadinessCheck {
    /// The program's name with its number.
    label: String,
    url: String,
    client: reqwest::Client,
}

/// A program's answer.
pub(super) struct ReadinessAnswer {
    /// Whether the program can do its work, provided that the shared services are available.
    pub(super) is_ready: bool,
    /// The body, with the conditions that are not met.
    pub(super) text: String,
}

impl ReadinessCheck {
    /// `url` is that of `/readyz`.
    pub(super) fn new(label: String, url: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self { label, url, client })
    }

    /// Asks once; `None` if there is no answer.
    pub(super) async fn ask(&self) -> Option<ReadinessAnswer> {
        let answer = self.client.get(&self.url).send().await.ok()?;
        let is_ready = answer.status().is_success();
        Some(ReadinessAnswer { is_ready, text: answer.text().await.ok()? })
    }

    /// Waits until the program is ready and reaches all services. Programs check some services only every two seconds,
    /// so a short fault may remain unnoticed, and the end of a longer one is noticed that much later.
    ///
    /// # Errors
    /// The program has not recovered before `until`.
    pub(super) async fn recovered(&self, until: Instant) -> anyhow::Result<()> {
        loop {
            let reason = match self.ask().await {
                Some(answer) if answer.misses_nothing() => return Ok(()),
                Some(answer) => answer.text,
                None => "no answer".to_owned(),
            };
            anyhow::ensure!(Instant::now() < until, "{} has not recovered: {}", self.label, reason.trim());
            sleep(POLL_INTERVAL).await;
        }
    }
}

impl ReadinessAnswer {
    /// Whether the program is ready and reaches all services. While a shared service is unavailable, a program is
    /// ready, but degraded (`shared/src/admin/health.rs`).
    fn misses_nothing(&self) -> bool {
        self.is_ready && !self.text.lines().any(|line| line.starts_with("degraded:"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_ready_and_degraded_has_not_recovered() {
        let misses_nothing = |is_ready, text: &str| {
            let answer = ReadinessAnswer { is_ready, text: text.to_owned() };
            answer.misses_nothing()
        };
        assert!(misses_nothing(true, "ok\nliveness_calibration: front-desk\n"));
        assert!(!misses_nothing(true, "ok\ndegraded: gateway_store\ngateway_store: no answer\n"));
        assert!(!misses_nothing(false, "not ready: models\n"));
    }
}
