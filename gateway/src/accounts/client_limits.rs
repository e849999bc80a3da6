//! The limits of one client in the accounts file, which replace those of the settings.

use faceline_gateway_store::ClientBounds;
use faceline_shared::settings::LimitSettings;
use serde::Deserialize;

/// Bounds on what a client may keep at the same time. An absent member is as in the settings; 0 means no bound.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ClientLimits {
    /// In place of `limits.client_sessions`.
    sessions: Option<u64>,
    /// In place of `limits.client_faces`.
    faces: Option<u64>,
    /// In place of `limits.client_session_bytes`.
    session_bytes: Option<u64>,
    /// In place of `limits.client_idempotency_records`.
    idempotency_records: Option<u64>,
    /// In place of `limits.client_idempotency_bytes`.
    idempotency_bytes: Option<u64>,
}

impl ClientLimits {
    /// The bounds of a client with these limits.
    #[must_use]
    pub fn bounds(&self, settings: &LimitSettings) -> ClientBounds {
        let bound = |own: Option<u64>, default| match own.unwrap_or(default) {
            0 => u64::MAX,
            bound => bound,
        };
        ClientBounds {
            sessions: bound(self.sessions, settings.client_sessions),
            faces: bound(self.faces, settings.client_faces),
            session_bytes: bound(self.session_bytes, settings.client_session_bytes),
            idempotency_records: bound(self.idempotency_records, settings.client_idempotency_records),
            idempotency_bytes: bound(self.idempotency_bytes, settings.client_idempotency_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_limits_precede_the_settings_and_zero_is_no_bound() {
        let settings = LimitSettings { client_sessions: 5, client_faces: 0, ..LimitSettings::default() };
        let bounds = |limits: &str| toml::from_str::<ClientLimits>(limits).unwrap().bounds(&settings);
        assert_eq!((bounds("").sessions, bounds("").faces), (5, u64::MAX));
        assert_eq!((bounds("sessions = 7").sessions, bounds("faces = 7").faces), (7, 7));
        assert_eq!(bounds("sessions = 0").sessions, u64::MAX);
        assert_eq!(bounds("sessions = 0").idempotency_bytes, settings.client_idempotency_bytes);
        assert!(toml::from_str::<ClientLimits>("keys = 1").is_err());
    }
}
