//! TLS of the public listener. The certificate's files are watched, and new connections get the current one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use arc_swap::ArcSwap;
use faceline_shared::config;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::follow::follow;

/// How often the files are read.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file has no certificate or no key in it.
    #[error("{path} is not as PEM files are: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key belongs to another certificate, or its kind is not supported.
    #[error("{certificate} and {key} do not go together: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: rustls::Error,
    },
    /// The TLS library refuses its configuration.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// A certificate and its key, in two files that may be replaced.
#[derive(Debug)]
pub(in crate::http) struct Certificate {
    files: config::Tls,
    current: ArcSwap<CertifiedKey>,
    /// The contents of the files when they were last read.
    last_read: Mutex<Contents>,
    /// The error of the last reading, so that each error is logged once.
    last_error: Mutex<Option<String>>,
}

/// The bytes of certificate and key.
#[derive(Debug, Eq, PartialEq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Any [`TlsError`] but the library's.
    pub(in crate::http) fn load(files: &config::Tls) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(files)?;
        let current = ArcSwap::from_pointee(contents.certified(files)?);
        Ok(Arc::new(Self {
            files: files.clone(),
            current,
            last_read: Mutex::new(contents),
            last_error: Mutex::default(),
        }))
    }

    /// Accepts TLS 1.2 and 1.3 with this certificate, and offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsError::Library`].
    pub(in crate::http) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(settings)))
    }

    /// Reads the files again and again for as long as it is polled.
    pub(in crate::http) async fn follow(self: Arc<Self>) {
        follow("certificate", POLL_INTERVAL, move || self.reload()).await;
    }

    fn reload(&self) {
        let reloaded = Contents::read(&self.files).and_then(|contents| {
            let mut last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
            if *last_read == contents {
                return Ok(false);
            }
            // While two files are replaced one after the other, they do not match for a moment. The old certificate
            // stays until they do.
            let certified = contents.certified(&self.files);
            *last_read = contents;
            self.current.store(Arc::new(certified?));
            Ok(true)
        });
        let error = reloaded.as_ref().err().map(ToString::to_string);
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = error.is_some() && *last_error != error;
        *last_error = error;
        match reloaded {
            Ok(true) => {
                tracing::info!(file = %self.files.certificate.display(), "the listener has a new certificate");
            }
            Ok(false) => (),
            Err(error) if is_new => tracing::error!(%error, "the listener keeps the certificate it has"),
            Err(_) => (),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Contents {
    fn read(files: &config::Tls) -> Result<Self, TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| TlsError::Io { path: path.to_owned(), source });
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)? })
    }

    fn certified(&self, files: &config::Tls) -> Result<CertifiedKey, TlsError> {
        let pem = |path: &Path, reason: String| TlsError::Pem { path: path.to_owned(), reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| pem(&files.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(pem(&files.certificate, "there is no certificate in it".into()));
        }
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| pem(&files.key, error.to_string()))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|reason| TlsError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    fn pair() -> rcgen::CertifiedKey<KeyPair> {
        generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    #[test]
    fn what_does_not_go_together_changes_nothing() {
        let folder = TempDir::new().unwrap();
        let files =
            config::Tls { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let write_certificate =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.certificate, pair.cert.pem());
        let write_key =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.key, pair.signing_key.serialize_pem());
        let (first, second) = (pair(), pair());
        write_certificate(&first).unwrap();
        write_key(&first).unwrap();
        let certificate = Certificate::load(&files).unwrap();
        let shown = || certificate.current.load().cert[0].clone();
        let last_error = || certificate.last_error.lock().unwrap().clone();

        write_certificate(&second).unwrap();
        certificate.reload();
        assert_eq!(shown(), *first.cert.der());
        fs::remove_file(&files.key).unwrap();
        certificate.reload();
        assert_eq!(shown(), *first.cert.der());
        assert!(last_error().unwrap().contains("tls.key"));
        write_key(&second).unwrap();
        certificate.reload();
        assert_eq!(shown(), *second.cert.der());
        assert_eq!(last_error(), None);
    }
}
