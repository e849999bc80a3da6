//! Exports the expiry of clients' keys as a metric.

use faceline_shared::telemetry::Metrics;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use time::OffsetDateTime;

use super::caller::Caller;

/// The keys that expire, as callers who use them, with the time.
type Expiring = Box<dyn Fn() -> Vec<(Caller, OffsetDateTime)> + Send + Sync>;

/// Reads the present accounts whenever the metrics are read.
struct ExpiryCollector {
    expiring: Expiring,
    gauges: IntGaugeVec,
}

/// Exports the expiry of each key that has one. `expiring` returns these keys of the present accounts.
pub(super) fn show(
    expiring: impl Fn() -> Vec<(Caller, OffsetDateTime)> + Send + Sync + 'static,
    metrics: &Metrics,
) {
    let opts = Opts::new(
        "faceline_account_key_expiry_timestamp_seconds",
        "Time at which a key of a client expires, as seconds since 1970-01-01 UTC, by client and id of the key; keys without an end are not shown.",
    );
    let gauges = IntGaugeVec::new(opts, &["client", "key"]).expect("the name is valid");
    metrics.collector(ExpiryCollector { expiring: Box::new(expiring), gauges });
}

impl Collector for ExpiryCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A key that was removed must not keep its value.
        self.gauges.reset();
        for (caller, expires) in (self.expiring)() {
            let labels = [caller.client.as_ref(), caller.key_id.as_ref()];
            self.gauges.with_label_values(&labels).set(expires.unix_timestamp());
        }
        self.gauges.collect()
    }
}
