//! Shows when keys of clients expire.

use std::sync::Arc;

use faceline_shared::telemetry::Metrics;
use faceline_shared::watched_file::WatchedFile;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::authentication::AccountsFile;

/// Reads the present accounts whenever the metrics are read.
struct ExpiryCollector {
    accounts: Arc<WatchedFile<AccountsFile>>,
    gauges: IntGaugeVec,
}

/// Shows the end of each key that has one.
pub(super) fn show(accounts: &Arc<WatchedFile<AccountsFile>>, metrics: &Metrics) {
    let opts = Opts::new(
        "faceline_account_key_expiry_timestamp_seconds",
        "Time at which a key of a client expires, as seconds since 1970-01-01 UTC, by client and id of the key; keys without an end are not shown.",
    );
    let gauges = IntGaugeVec::new(opts, &["client", "key"]).expect("the name is valid");
    metrics.collector(ExpiryCollector { accounts: Arc::clone(accounts), gauges });
}

impl Collector for ExpiryCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A key that was removed has no value any more.
        self.gauges.reset();
        for (caller, expires) in self.accounts.current().expiring() {
            let labels = [caller.client.as_ref(), caller.key_id.as_ref()];
            self.gauges.with_label_values(&labels).set(expires.unix_timestamp());
        }
        self.gauges.collect()
    }
}
