//! Log lines, metrics and trace context.

mod certificates;
mod logging;
mod trace;

pub use self::certificates::CertificateExpiry;
pub use self::logging::init_logging;
pub use self::trace::TraceContext;

use std::sync::{Arc, OnceLock};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Bucket bounds of histograms of durations, in seconds: 1 ms to 30 s.
const DURATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

/// The metrics of a process.
///
/// Each metric is registered once, at the start. A name that is registered twice, or that Prometheus does not allow, is an error
/// in the program, and panics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    registry: Registry,
    certificates: Arc<OnceLock<CertificateExpiry>>,
}

impl Metrics {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn register<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        created: Result<C, prometheus::Error>,
        name: &str,
    ) -> C {
        let collector = created.unwrap_or_else(|error| panic!("metric {name}: {error}"));
        if let Err(error) = self.registry.register(Box::new(collector.clone())) {
            panic!("metric {name}: {error}");
        }
        collector
    }

    /// Registers metrics that are computed whenever they are read.
    pub fn collector(&self, collector: impl prometheus::core::Collector + 'static) {
        if let Err(error) = self.registry.register(Box::new(collector)) {
            panic!("metrics of a collector: {error}");
        }
    }

    /// The metric of certificates, which several parts of a program use. It is registered at its first use.
    #[must_use]
    pub fn certificates(&self) -> CertificateExpiry {
        let register = || {
            let certificates = CertificateExpiry::new();
            self.collector(certificates.clone());
            certificates
        };
        self.certificates.get_or_init(register).clone()
    }

    /// Registers histograms with bucket bounds of their own, with labels.
    #[must_use]
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], bounds: &[f64]) -> HistogramVec {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.into()), labels), name)
    }

    /// Registers a counter.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help), name)
    }

    /// Registers counters with labels.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels), name)
    }

    /// Registers a gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help), name)
    }

    /// Registers a gauge whose values have fractions.
    #[must_use]
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::new(name, help), name)
    }

    /// Registers gauges with labels.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels), name)
    }

    /// Registers gauges with labels whose values are no whole numbers.
    #[must_use]
    pub fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels), name)
    }

    /// Registers a histogram of durations in seconds.
    #[must_use]
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        self.register(
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.into())),
            name,
        )
    }

    /// Registers histograms of durations in seconds, with labels.
    #[must_use]
    pub fn seconds_by(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.register(
            HistogramVec::new(HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.into()), labels),
            name,
        )
    }

    /// All metrics in the text format of Prometheus.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }
}
