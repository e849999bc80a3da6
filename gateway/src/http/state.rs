//! What every request can reach.

use std::sync::Arc;

use faceline_shared::admin::Readiness;
use faceline_shared::config::Config;
use faceline_shared::rate::Rates;
use faceline_shared::telemetry::Metrics;

use super::layers::HttpMetrics;
use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::biometric::BiometricServices;
use crate::submit::Submit;

/// The parts of a gateway that its listener uses.
pub struct State {
    pub(super) config: Config,
    pub(super) accounts: Accounts,
    pub(super) rates: Arc<Rates>,
    pub(super) admission: Arc<Admission>,
    pub(super) submit: Arc<dyn Submit>,
    pub(super) biometric: BiometricServices,
    pub(super) readiness: Readiness,
    pub(super) metrics: HttpMetrics,
}

impl State {
    /// Puts the parts together; the listener's own metrics are registered with `metrics`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is there once, and has a type of its own")]
    pub fn new(
        config: Config,
        accounts: Accounts,
        rates: Arc<Rates>,
        admission: Arc<Admission>,
        submit: Arc<dyn Submit>,
        biometric: BiometricServices,
        readiness: Readiness,
        metrics: &Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            accounts,
            rates,
            admission,
            submit,
            biometric,
            readiness,
            metrics: HttpMetrics::new(metrics),
        })
    }
}
