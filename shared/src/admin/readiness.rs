//! Readiness of a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Whether a process can do its work: a set of named conditions, all of which must be fulfilled.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    changes: Arc<watch::Sender<BTreeMap<&'static str, bool>>>,
}

/// One condition of a [`Readiness`].
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// A process without conditions is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, which is not fulfilled yet.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, readiness: self.clone() };
        condition.set(false);
        condition
    }

    /// Names of the conditions that are not fulfilled.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.changes.borrow();
        conditions.iter().filter(|(_, holds)| !**holds).map(|(name, _)| *name).collect()
    }

    /// Whether all conditions are fulfilled.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    /// Waits until [`Self::is_ready`] returns `ready`.
    pub async fn until(&self, ready: bool) {
        let mut changes = self.changes.subscribe();
        let is_so = |conditions: &BTreeMap<_, bool>| conditions.values().all(|holds| *holds) == ready;
        // The sender lives in `self`, so the channel does not close in the meantime.
        let _ = changes.wait_for(is_so).await;
    }

    /// Waits until there are conditions and all of them are fulfilled. A process without conditions has not yet said what it
    /// needs.
    pub async fn ready(&self) {
        let mut changes = self.changes.subscribe();
        // As in `until`, the channel does not close in the meantime.
        let _ = changes
            .wait_for(|conditions| !conditions.is_empty() && conditions.values().all(|holds| *holds))
            .await;
    }
}

impl Condition {
    /// Sets whether the condition is fulfilled.
    pub fn set(&self, holds: bool) {
        let mut before = None;
        self.readiness.changes.send_modify(|conditions| before = conditions.insert(self.name, holds));
        if before.is_some_and(|before| before != holds) {
            tracing::info!(condition = self.name, holds, "readiness changed");
        }
    }
}
