//! State that all uploads of a gateway share.

use std::sync::Arc;

use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;

use super::capacity::JudgingCapacity;
use super::metrics::UploadMetrics;
use crate::admission::UploadLimiter;

/// State that all uploads of a gateway share.
pub(in crate::replays) struct Uploads {
    pub(super) limiter: Arc<UploadLimiter>,
    pub(super) capacity: JudgingCapacity,
    pub(super) metrics: UploadMetrics,
}

impl Uploads {
    pub(in crate::replays) fn new(settings: &Settings, metrics: &Metrics) -> Self {
        let limiter = UploadLimiter::new(settings.replay.uploads, settings.limits.client_share);
        let capacity = JudgingCapacity::new(settings.replay.deadline);
        Self { limiter, capacity, metrics: UploadMetrics::new(metrics) }
    }
}
