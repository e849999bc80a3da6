//! Metrics of the connections to the broker.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec};

use super::port::{Broker, BrokerError, SharedBroker};
use crate::telemetry::Metrics;

/// Shows the health of `broker` in `metrics`.
pub fn export_health(broker: &SharedBroker, metrics: &Metrics) {
    let gauge = |name, help| IntGauge::new(name, help).expect("the name is valid");
    let problem = prometheus::opts!(
        "faceline_broker_problem",
        "Whether the last attempt to connect to the broker failed for this reason (1 or 0)."
    );
    metrics.collector(HealthCollector {
        broker: std::sync::Arc::downgrade(broker),
        connected: gauge("faceline_broker_connected", "Whether the broker is connected (1 or 0)."),
        blocked: gauge(
            "faceline_broker_blocked",
            "Whether the broker blocks publishers because its memory or disk is full (1 or 0).",
        ),
        problem: IntGaugeVec::new(problem, &["reason"]).expect("the name is valid"),
    });
}

/// Reads the health whenever the metrics are read.
struct HealthCollector {
    broker: Weak<dyn Broker>,
    connected: IntGauge,
    blocked: IntGauge,
    problem: IntGaugeVec,
}

impl Collector for HealthCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.connected.desc(), self.blocked.desc(), self.problem.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let health = self.broker.upgrade().map(|broker| broker.health()).unwrap_or_default();
        self.connected.set(health.is_connected.into());
        self.blocked.set(health.blocked.is_some().into());
        let present = health.problem.as_ref().map(BrokerError::label);
        for label in BrokerError::LABELS {
            self.problem.with_label_values(&[label]).set((present == Some(label)).into());
        }
        [self.connected.collect(), self.blocked.collect(), self.problem.collect()].concat()
    }
}
