//! TLS towards a server that this installation runs itself: a broker or a store.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::{SettingsError, invalid};

/// Trusted authorities and certificate of a TLS client. Used only for addresses whose scheme asks for TLS.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// PEM file with the certificates of the authorities to trust. If this is not set, the system's authorities are
    /// trusted.
    pub ca: Option<PathBuf>,
    /// PEM file with the client certificate, followed by its intermediate certificates, for servers that ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of `certificate`: PKCS #8, PKCS #1 or SEC1, not encrypted.
    pub key: Option<PathBuf>,
}

impl ClientTls {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses a certificate without its key, and a key without its certificate. `section` names the settings in the message.
    pub(super) fn validate(&self, section: &str) -> Result<(), SettingsError> {
        if self.certificate.is_some() == self.key.is_some() {
            return Ok(());
        }
        invalid(format!("{section}.certificate and {section}.key belong together: set both or none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key() {
        let tls = |certificate: Option<&str>, key: Option<&str>| ClientTls {
            ca: None,
            certificate: certificate.map(Into::into),
            key: key.map(Into::into),
        };
        assert!(tls(None, None).validate("store.tls").is_ok());
        assert!(tls(Some("a"), Some("b")).validate("store.tls").is_ok());
        for half in [tls(Some("a"), None), tls(None, Some("b"))] {
            let said = half.validate("store.tls").unwrap_err().to_string();
            assert!(said.starts_with("store.tls.certificate and store.tls.key"), "{said}");
        }
    }
}
