//! Metrics of admission control.

use faceline_shared::telemetry::Metrics;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::job_class::PerClass;

#[derive(Clone, Debug)]
pub(super) struct AdmissionMetrics {
    /// Requests in flight.
    pub(super) requests: IntGauge,
    /// Bytes in flight.
    pub(super) bytes: IntGauge,
    /// The limits on jobs.
    pub(super) limit_jobs: PerClass<IntGauge>,
    /// The capacity estimates, in jobs per second.
    pub(super) capacity: PerClass<Gauge>,
    /// Refused requests for whose retry capacity was reserved.
    pub(super) reserved: IntCounter,
    /// Refused requests that found all reservations taken.
    pub(super) reservations_full: IntCounter,
    /// Retries that came with a reservation.
    pub(super) reservations_used: IntCounter,
}

impl AdmissionMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let reservations = metrics.counters(
            "faceline_gateway_retry_reservations_total",
            "Retry reservations by outcome: reserved or full when a request was refused, used when it came again.",
            &["outcome"],
        );
        let reservations = |outcome| reservations.with_label_values(&[outcome]);
        Self {
            requests: metrics.gauge(
                "faceline_gateway_inflight_jobs",
                "Requests that were admitted and are not answered yet.",
            ),
            bytes: metrics.gauge(
                "faceline_gateway_inflight_bytes",
                "Bytes of memory reserved for bodies of requests in flight.",
            ),
            limit_jobs: PerClass {
                pictures: metrics.gauge(
                    "faceline_gateway_limit_jobs",
                    "Jobs that may be in flight: all that are answered in time, and fewer while requests are refused.",
                ),
                video: metrics
                    .gauge("faceline_gateway_limit_videos", "The same for jobs about videos whose callers wait."),
            },
            capacity: PerClass {
                pictures: metrics.float_gauge(
                    "faceline_gateway_capacity_jobs_per_second",
                    "Estimate of what the workers can do for this gateway, in jobs per second; 0 before the first answer.",
                ),
                video: metrics.float_gauge(
                    "faceline_gateway_capacity_videos_per_second",
                    "The same for jobs about videos whose callers wait.",
                ),
            },
            reserved: reservations("reserved"),
            reservations_full: reservations("full"),
            reservations_used: reservations("used"),
        }
    }
}
