//! The gateways that load is sent to. Tests change them while load runs.

use std::sync::{PoisonError, RwLock};

/// Addresses of gateways, such as `http://127.0.0.1:8080`.
#[derive(Debug)]
pub struct Targets(RwLock<Vec<String>>);

impl Targets {
    /// Creates targets from the addresses of at least one gateway.
    #[must_use]
    pub fn new(urls: &[String]) -> Self {
        let targets = Self(RwLock::default());
        targets.set(urls);
        targets
    }

    /// Replaces the gateways. An empty list changes nothing.
    pub fn set(&self, urls: &[String]) {
        if !urls.is_empty() {
            let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = urls;
        }
    }

    /// The gateway for attempt `attempt` of request `number`. Requests use the gateways round robin, and so do the attempts
    /// of one request.
    #[must_use]
    pub fn pick(&self, number: u64, attempt: u64) -> String {
        let urls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = (number + attempt) as usize % urls.len().max(1);
        urls.get(place).cloned().unwrap_or_default()
    }
}
