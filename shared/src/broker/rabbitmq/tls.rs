//! TLS towards the server, from the files of `broker.tls`.
//!
//! lapin's own TLS settings add an authority to those of the system, and fail on a machine that has none. Here the
//! authorities of `broker.tls.ca` replace those of the system.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_connector::RustlsConnector;

use crate::broker::port::BrokerError;
use crate::settings::ClientTls;

/// Reads the files of `settings`.
///
/// # Errors
/// [`BrokerError::Tls`]: a file cannot be read or holds nothing usable, or the key does not belong to the certificate.
pub(super) fn connector(settings: &ClientTls) -> Result<RustlsConnector, BrokerError> {
    let roots = match &settings.ca {
        Some(file) => private_roots(file)?,
        None => system_roots(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BrokerError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let config = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
            config.with_client_auth_cert(chain, key).map_err(|error| in_file(certificate, &error))?
        }
        _ => config.with_no_client_auth(),
    };
    Ok(config.into())
}

fn private_roots(file: &Path) -> Result<RootCertStore, BrokerError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| in_file(file, &error))?;
    }
    Ok(roots)
}

/// Root certificates of the system. If there are none, every handshake fails because the issuer is unknown.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_file(file, &error))?;
    if certificates.is_empty() {
        return Err(in_file(file, &"it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn in_file(file: &Path, reason: &dyn std::fmt::Display) -> BrokerError {
    BrokerError::Tls(format!("{}: {reason}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_unusable_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        for ca in [empty, folder.path().join("missing.pem")] {
            let settings = ClientTls { ca: Some(ca.clone()), ..ClientTls::default() };
            match connector(&settings) {
                Err(BrokerError::Tls(reason)) => assert!(reason.contains(ca.to_str().unwrap()), "{reason}"),
                other => panic!("{:?}", other.err()),
            }
        }
        assert!(connector(&ClientTls::default()).is_ok());
    }
}
