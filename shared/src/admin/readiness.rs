//! Readiness of a process.
//!
//! A process is *ready* if it can do its work as soon as the services that all instances share are available. Load
//! balancers should then send it requests. While one of these services is unavailable, the process is *degraded*: it
//! stays ready, because no other instance does better, and refuses requests that it cannot serve (503 with
//! `Retry-After`). A process is *not ready* if it is misconfigured or if a part of its own fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGaugeVec;
use tokio::sync::watch;

use crate::telemetry::Metrics;

/// The state of a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConditionState {
    /// The condition is met.
    Met,
    /// A service that all instances share is unavailable, for this reason.
    Degraded(String),
    /// This instance cannot do its work, whatever the state of other instances. The text is the reason, or empty if
    /// none is known.
    Unmet(String),
}

impl ConditionState {
    const LABELS: [&str; 3] = ["met", "degraded", "unmet"];

    /// Name of the state in logs and metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Degraded(_) => "degraded",
            Self::Unmet(_) => "unmet",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Met => "",
            Self::Degraded(reason) | Self::Unmet(reason) => reason,
        }
    }
}

/// State of one condition of a [`Readiness`].
#[derive(Debug)]
struct Entry {
    state: ConditionState,
    /// Whether it has been met before.
    was_met: bool,
    /// Whether the process works without it, for most requests.
    is_optional: bool,
}

type Entries = BTreeMap<&'static str, Entry>;

/// Whether a process can do its work: a set of named conditions, none of which may be unmet.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    changes: Arc<watch::Sender<Entries>>,
    /// By condition and state: 1 for the present state, 0 for the others.
    gauges: Option<IntGaugeVec>,
    /// Facts about the process that `/readyz` shows to operators, by name.
    facts: Arc<Mutex<BTreeMap<&'static str, String>>>,
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

    /// As [`Self::new`], with a metric that shows every condition.
    #[must_use]
    pub fn with_metrics(metrics: &Metrics) -> Self {
        let help = "State of a condition of readiness: 1 for the present one of met, degraded and unmet.";
        let gauges = metrics.gauges("faceline_condition", help, &["condition", "state"]);
        Self { gauges: Some(gauges), ..Self::default() }
    }

    /// Adds a condition, which is not met yet.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        self.add(name, ConditionState::Unmet(String::new()), false)
    }

    /// Adds a condition without which the process works for most requests. It makes the process degraded at worst.
    #[must_use]
    pub fn optional_condition(&self, name: &'static str) -> Condition {
        self.add(name, ConditionState::Degraded("not checked yet".into()), true)
    }

    /// Sets a fact that the detailed answer of `/readyz` shows, such as the version of something that was loaded.
    pub fn set_fact(&self, name: &'static str, text: String) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).insert(name, text);
    }

    /// The facts, by name.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<&'static str, String> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, name: &'static str, state: ConditionState, is_optional: bool) -> Condition {
        self.show(name, &state);
        let entry = Entry { state, was_met: false, is_optional };
        self.changes.send_modify(|entries| drop(entries.insert(name, entry)));
        Condition { name, readiness: self.clone() }
    }

    /// Names of the conditions that are not met, without the degraded ones.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.names(|state| matches!(state, ConditionState::Unmet(_)))
    }

    /// Names of the conditions that are degraded.
    #[must_use]
    pub fn degraded(&self) -> Vec<&'static str> {
        self.names(|state| matches!(state, ConditionState::Degraded(_)))
    }

    fn names(&self, wanted: impl Fn(&ConditionState) -> bool) -> Vec<&'static str> {
        let entries = self.changes.borrow();
        entries.iter().filter(|(_, entry)| wanted(&entry.state)).map(|(name, _)| *name).collect()
    }

    /// Names of the unmet and degraded conditions that have a reason, with that reason.
    #[must_use]
    pub fn reasons(&self) -> Vec<(&'static str, String)> {
        let entries = self.changes.borrow();
        let with_reason = entries.iter().filter(|(_, entry)| !entry.state.reason().is_empty());
        with_reason.map(|(name, entry)| (*name, entry.state.reason().to_owned())).collect()
    }

    /// Whether no condition is unmet.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        no_unmet(&self.changes.borrow())
    }

    /// Waits until [`Self::is_ready`] returns `ready`.
    pub async fn until(&self, ready: bool) {
        let mut changes = self.changes.subscribe();
        // The sender lives in `self`, so the channel does not close in the meantime.
        let _ = changes.wait_for(|entries| no_unmet(entries) == ready).await;
    }

    /// Waits until at least one condition is registered and none is unmet. Before that, the needs of the process are
    /// unknown.
    pub async fn ready(&self) {
        let mut changes = self.changes.subscribe();
        // As in `until`, the channel does not close in the meantime.
        let _ = changes.wait_for(|entries| !entries.is_empty() && no_unmet(entries)).await;
    }

    /// Shows the state of a condition in the metric.
    fn show(&self, name: &str, state: &ConditionState) {
        let Some(gauges) = &self.gauges else { return };
        for label in ConditionState::LABELS {
            gauges.with_label_values(&[name, label]).set((label == state.label()).into());
        }
    }
}

fn no_unmet(entries: &Entries) -> bool {
    !entries.values().any(|entry| matches!(entry.state, ConditionState::Unmet(_)))
}

impl Condition {
    /// Sets whether the condition is met.
    pub fn set(&self, holds: bool) {
        self.report(if holds { ConditionState::Met } else { ConditionState::Unmet(String::new()) });
    }

    /// Sets the state of the condition.
    ///
    /// A service that has never been available may be one that the settings name wrongly. Until the condition is met
    /// for the first time, an unavailable service makes it unmet. So a rollout with a wrong address stops at its first
    /// instance, before it replaces working ones.
    pub fn report(&self, state: ConditionState) {
        let mut change = None;
        self.readiness.changes.send_if_modified(|entries| {
            let Some(entry) = entries.get_mut(self.name) else { return false };
            let state = match state {
                ConditionState::Degraded(reason) if !entry.was_met && !entry.is_optional => {
                    ConditionState::Unmet(reason)
                }
                ConditionState::Unmet(reason) if entry.is_optional => ConditionState::Degraded(reason),
                state => state,
            };
            entry.was_met |= state == ConditionState::Met;
            let before = std::mem::replace(&mut entry.state, state.clone());
            let is_other = before != state;
            change = Some((before, state));
            is_other
        });
        let Some((before, now)) = change else { return };
        self.readiness.show(self.name, &now);
        let (condition, state, reason) = (self.name, now.label(), now.reason());
        if reason.is_empty() && before.label() != state {
            tracing::info!(condition, state, "readiness changed");
        } else if before.label() != state || (before.reason().is_empty() && !reason.is_empty()) {
            // Only the first reason is logged: during an outage, the reason may change with each check, twice a second.
            tracing::warn!(condition, state, reason, "readiness changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> ConditionState {
        ConditionState::Degraded("it does not answer".into())
    }

    #[test]
    fn a_service_that_becomes_unreachable_degrades_and_one_that_never_was_reachable_is_missing() {
        let readiness = Readiness::new();
        let store = readiness.condition("store");
        assert_eq!((readiness.missing(), readiness.degraded()), (vec!["store"], vec![]));
        store.report(away());
        assert_eq!((readiness.missing(), readiness.degraded()), (vec!["store"], vec![]));
        assert_eq!(readiness.reasons(), [("store", "it does not answer".to_owned())]);
        store.report(ConditionState::Met);
        assert!(readiness.is_ready() && readiness.degraded().is_empty() && readiness.reasons().is_empty());
        store.report(away());
        assert_eq!((readiness.missing(), readiness.degraded()), (vec![], vec!["store"]));
        assert!(readiness.is_ready());
        store.report(ConditionState::Unmet("it evicts keys".into()));
        assert!(!readiness.is_ready());
        // The condition was met before, so an unavailable service only degrades the process.
        store.report(away());
        assert!(readiness.is_ready());
    }

    #[test]
    fn what_is_optional_makes_degraded_at_worst() {
        let readiness = Readiness::new();
        let objects = readiness.optional_condition("objects");
        assert!(readiness.is_ready());
        objects.report(ConditionState::Unmet("no such bucket".into()));
        assert!(readiness.is_ready());
        assert_eq!(readiness.degraded(), ["objects"]);
    }

    #[test]
    fn the_metric_shows_one_state_of_each_condition() {
        let metrics = Metrics::new();
        let readiness = Readiness::with_metrics(&metrics);
        let shown = |store: &str| {
            let text = metrics.encode();
            let lines = text
                .lines()
                .filter(|line| line.starts_with("faceline_condition{condition=\"store\""))
                .count();
            assert_eq!(lines, 3, "{text}");
            text.contains(&format!("faceline_condition{{condition=\"store\",state=\"{store}\"}} 1"))
        };
        let store = readiness.condition("store");
        assert!(shown("unmet"));
        store.set(true);
        assert!(shown("met") && !shown("unmet"));
        store.report(away());
        assert!(shown("degraded") && !shown("met"));
    }

    #[tokio::test]
    async fn a_degraded_process_counts_as_ready() {
        let readiness = Readiness::new();
        let store = readiness.condition("store");
        store.set(true);
        store.report(away());
        readiness.ready().await;
        readiness.until(true).await;
    }
}
