//! Exports, for each queue, the age of the oldest job that has no answer yet.

use faceline_shared::broker::Queue;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::pending::Pending;

/// The queues of jobs whose caller waits.
const QUEUES: [Queue; 2] = [Queue::Interactive, Queue::Replay];

/// Reads the ages whenever the metrics are read.
pub(super) struct OldestJobCollector {
    pending: Pending,
    age: GaugeVec,
}

impl OldestJobCollector {
    pub(super) fn new(pending: Pending) -> Self {
        let opts = Opts::new(
            "faceline_gateway_oldest_job_seconds",
            "Age of this gateway's oldest job that has no answer yet, by queue; 0 if there is none.",
        );
        Self { pending, age: GaugeVec::new(opts, &["queue"]).expect("the name is valid") }
    }
}

impl Collector for OldestJobCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.age.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let oldest = self.pending.oldest();
        for queue in QUEUES {
            let age = oldest.get(&queue).map_or(0.0, std::time::Duration::as_secs_f64);
            self.age.with_label_values(&[queue.name()]).set(age);
        }
        self.age.collect()
    }
}
