//! What every request can reach.

use std::sync::Arc;

use faceline_shared::admin::Readiness;
use faceline_shared::config::Config;
use faceline_shared::telemetry::Metrics;
use faceline_shared::template::TemplateCodec;

use super::layers::HttpMetrics;
use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::biometric::BiometricServices;
use crate::signing::Signer;
use crate::submit::Submit;

/// The parts of a gateway that its listener uses.
pub struct State {
    pub(super) config: Config,
    pub(super) accounts: Accounts,
    pub(super) admission: Arc<Admission>,
    pub(super) submit: Arc<dyn Submit>,
    pub(super) biometric: BiometricServices,
    pub(super) signer: Arc<Signer>,
    pub(super) readiness: Readiness,
    pub(super) metrics: HttpMetrics,
}

impl State {
    /// Puts the parts together; the listener's own metrics are registered with `metrics`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each part is handed over in one place only")]
    pub fn new(
        config: Config,
        accounts: Accounts,
        admission: Arc<Admission>,
        submit: Arc<dyn Submit>,
        templates: TemplateCodec,
        signer: Arc<Signer>,
        readiness: Readiness,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let biometric =
            BiometricServices::new(&config, Arc::clone(&submit), Arc::clone(&admission), templates);
        Arc::new(Self {
            config,
            accounts,
            admission,
            submit,
            biometric,
            signer,
            readiness,
            metrics: HttpMetrics::new(metrics),
        })
    }
}
