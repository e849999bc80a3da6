//! Observes the changes during a fault.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::changes::{CONSTANTS, Change, Fault, alerts_of, change_of};
use super::dashboard_expressions;
use crate::prometheus::{POLL_INTERVAL, Prometheus, Rule};

/// Time limit for a change, also on a busy machine: the programs detect the fault, Prometheus scrapes and evaluates.
/// The slowest change takes half a minute on an idle machine, because a job must become old. While a compiler used both
/// cores, a round of videos took two minutes.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Time limit for an alert to stop holding after a pause of the machine raised it.
const CALM_TIMEOUT: Duration = Duration::from_secs(60);

/// An expression that changes under a fault.
#[derive(Clone)]
struct Watched {
    fault: Fault,
    change: Change,
    /// The name of the recording rule, or the expression of a panel.
    name: String,
    expression: String,
}

/// The changes of a fault that have not been observed yet.
struct Unseen {
    alerts: Vec<String>,
    /// Each with its values before the fault.
    changes: Vec<(Watched, BTreeMap<String, f64>)>,
}

/// Watches alerts, recording rules and panels.
pub(super) struct Watch<'a> {
    prometheus: &'a Prometheus,
    /// The expression of each alert.
    alerts: BTreeMap<String, String>,
    watched: Vec<Watched>,
    seen: Mutex<BTreeSet<String>>,
    /// Alerts and expressions that did not change, and alerts that held before their fault.
    failures: Mutex<Vec<String>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(prometheus: &'a Prometheus, rules: Vec<Rule>) -> Self {
        let (alerts, recorded): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.is_alert);
        let recorded = recorded.into_iter().filter(|rule| !CONSTANTS.contains(&rule.name.as_str()));
        let recorded = recorded.map(|rule| (rule.name, rule.expression));
        let panels = dashboard_expressions().into_iter().map(|expression| (expression.clone(), expression));
        let watched = recorded.chain(panels).map(|(name, expression)| {
            let &(_, fault, change) = change_of(&name).expect("another test holds that each has a row");
            Watched { fault, change, name, expression }
        });
        Self {
            prometheus,
            watched: watched.collect(),
            alerts: alerts.into_iter().map(|rule| (rule.name, rule.expression)).collect(),
            seen: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// The alerts whose expressions hold for longer than [`CALM_TIMEOUT`].
    pub(super) async fn holding(&self) -> Vec<String> {
        let mut holding = Vec::new();
        for alert in self.alerts.keys() {
            if self.holds_for_long(alert).await {
                holding.push(alert.clone());
            }
        }
        holding
    }

    /// Whether an alert holds without a fault. The test evaluates its expression without the alert's `for` duration, so
    /// a single slow scrape may raise it for a moment.
    async fn holds_for_long(&self, alert: &str) -> bool {
        // The latency of answers depends on the machine. `FacelineUsageLost` holds for an hour after a usage record is
        // lost, and one gateway loses all records that the store does not accept at once.
        if alert.starts_with("FacelineLatency") || alert == "FacelineUsageLost" {
            return false;
        }
        let began = Instant::now();
        while self.holds(alert).await {
            if began.elapsed() > CALM_TIMEOUT {
                return true;
            }
            sleep(POLL_INTERVAL).await;
        }
        false
    }

    async fn holds(&self, alert: &str) -> bool {
        !self.prometheus.values(&self.alerts[alert]).await.is_empty()
    }

    /// Injects a fault by `make`, and waits until all of its expected changes have occurred. Callers repeat `meanwhile`
    /// until then. A missing change fails the test only at its end, so one run shows all of them.
    pub(super) async fn during(
        &self,
        fault: Fault,
        make: impl Future<Output = ()>,
        meanwhile: impl AsyncFn(),
    ) {
        let unseen = self.before(fault).await;
        make.await;
        let is_over = Cell::new(false);
        let observing = async {
            self.observe_all(fault, unseen).await;
            is_over.set(true);
        };
        let acting = async {
            while !is_over.get() {
                meanwhile().await;
                sleep(POLL_INTERVAL).await;
            }
        };
        tokio::join!(observing, acting);
    }

    async fn observe_all(&self, fault: Fault, mut unseen: Unseen) {
        let began = Instant::now();
        loop {
            unseen = self.observe(unseen).await;
            if unseen.alerts.is_empty() && unseen.changes.is_empty() {
                return println!("{fault:?}: {:?}", began.elapsed());
            }
            if began.elapsed() > TIMEOUT {
                return self.fail(format!("{fault:?}: {}", self.described(&unseen).await));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn before(&self, fault: Fault) -> Unseen {
        let alerts: Vec<_> = alerts_of(fault).collect();
        for alert in &alerts {
            if self.holds_for_long(alert).await {
                self.fail(format!("{alert} holds before {fault:?}"));
            }
        }
        let mut changes = Vec::new();
        for watched in self.watched.iter().filter(|watched| watched.fault == fault) {
            changes.push((watched.clone(), self.prometheus.values(&watched.expression).await));
        }
        Unseen { alerts, changes }
    }

    /// Records the changes that have occurred, and returns the others.
    async fn observe(&self, unseen: Unseen) -> Unseen {
        let mut rest = Unseen { alerts: Vec::new(), changes: Vec::new() };
        for alert in unseen.alerts {
            if self.holds(&alert).await {
                self.note(alert);
            } else {
                rest.alerts.push(alert);
            }
        }
        for (watched, before) in unseen.changes {
            let now = self.prometheus.values(&watched.expression).await;
            let labels: BTreeSet<_> = before.keys().chain(now.keys()).collect();
            let is_between =
                |labels| watched.change.is_between(before.get(labels).copied(), now.get(labels).copied());
            if labels.into_iter().any(is_between) {
                self.note(watched.name);
            } else {
                rest.changes.push((watched, before));
            }
        }
        rest
    }

    fn note(&self, name: String) {
        self.seen.lock().unwrap().insert(name);
    }

    fn fail(&self, failure: String) {
        println!("FAILURE {failure}");
        self.failures.lock().unwrap().push(failure);
    }

    async fn described(&self, unseen: &Unseen) -> String {
        let mut text = format!("{:?} do not hold", unseen.alerts);
        for (Watched { name, change, expression, .. }, before) in &unseen.changes {
            let now = self.prometheus.values(expression).await;
            text += &format!("\n{name}, which {change:?}:\n  before {before:?}\n  now    {now:?}");
        }
        text
    }

    /// Fails unless each alert, recording rule and panel has changed under its fault, and no alert held before.
    pub(super) fn assert_all_seen(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        let seen = self.seen.lock().unwrap();
        let all = self.alerts.keys().chain(self.watched.iter().map(|watched| &watched.name));
        let unseen: Vec<_> = all.filter(|name| !seen.contains(*name)).collect();
        assert!(unseen.is_empty(), "these have not changed: {unseen:#?}");
        println!("{} alerts, {} rules and panels", self.alerts.len(), self.watched.len());
    }
}
