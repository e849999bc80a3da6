//! The state shared by the handlers and layers of all requests.

use std::sync::Arc;

use faceline_gateway_store::rate::Rates;
use faceline_gateway_store::rate::local::LocalRates;
use faceline_shared::admin::Readiness;
use faceline_shared::settings::{CaptureRules, Settings};
use faceline_shared::telemetry::Metrics;

use super::metrics::HttpMetrics;
use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::families::biometric::BiometricServices;
use crate::families::bws::Bws;
use crate::families::face_liveness::FaceLiveness;
use crate::jobs::Submit;
use crate::usage::Usage;

/// The services behind the operations, one for each API family.
pub struct Families {
    /// Biometric Services.
    pub biometric: BiometricServices,
    /// BWS.
    pub bws: Bws,
    /// Face Liveness.
    pub face_liveness: FaceLiveness,
}

/// The parts of a gateway that its public listener uses.
pub struct GatewayState {
    pub(super) config: Settings,
    pub(super) capture: CaptureRules,
    pub(super) accounts: Arc<Accounts>,
    pub(super) rates: Arc<Rates>,
    /// Counts requests without a credential by source address. The counts are local to this process, so anonymous
    /// requests cause no work in a shared store.
    pub(super) address_rates: LocalRates,
    pub(super) admission: Arc<Admission>,
    pub(super) submit: Arc<dyn Submit>,
    pub(super) usage: Arc<Usage>,
    pub(super) biometric: BiometricServices,
    pub(super) bws: Bws,
    pub(super) face_liveness: FaceLiveness,
    pub(super) readiness: Readiness,
    pub(super) metrics: HttpMetrics,
}

impl GatewayState {
    /// Builds the state from its parts, and registers the listener's own metrics with `metrics`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is there once, and has a type of its own")]
    pub fn new(
        config: Settings,
        accounts: Arc<Accounts>,
        rates: Arc<Rates>,
        admission: Arc<Admission>,
        submit: Arc<dyn Submit>,
        usage: Arc<Usage>,
        families: Families,
        readiness: Readiness,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let Families { biometric, bws, face_liveness } = families;
        Arc::new(Self {
            capture: config.capture_rules(),
            config,
            accounts,
            rates,
            address_rates: LocalRates::new(),
            admission,
            submit,
            usage,
            biometric,
            bws,
            face_liveness,
            readiness,
            metrics: HttpMetrics::new(metrics),
        })
    }
}
