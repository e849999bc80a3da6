//! TLS of the public listener, with a certificate that may change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use arc_swap::ArcSwap;
use faceline_shared::settings;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::follow::follow;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why there is no certificate.
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
    /// A file holds nothing of the kind.
    #[error("{path} is not as PEM files are: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key is another certificate's, or of a kind that is not supported.
    #[error("{certificate} and {key} do not go together: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: rustls::Error,
    },
    /// The library does not do as it is set up.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// A certificate in two files, of which new connections get what is there when they come.
#[derive(Debug)]
pub(in crate::http) struct Certificate {
    files: settings::TlsSettings,
    current: ArcSwap<CertifiedKey>,
    /// What the files held when they were last looked at.
    seen: Mutex<Contents>,
    /// What was wrong with them then.
    complaint: Mutex<Option<String>>,
}

/// Bytes of certificate and key.
#[derive(Debug, Eq, PartialEq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files.
    pub(in crate::http) fn load(files: &settings::TlsSettings) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(files)?;
        let current = ArcSwap::from_pointee(contents.certified(files)?);
        Ok(Arc::new(Self {
            files: files.clone(),
            current,
            seen: Mutex::new(contents),
            complaint: Mutex::default(),
        }))
    }

    /// What speaks TLS with this certificate: HTTP/2 and HTTP/1.1, TLS 1.2 and 1.3.
    pub(in crate::http) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(settings)))
    }

    /// Looks after the files for as long as it runs.
    pub(in crate::http) async fn follow(self: Arc<Self>) {
        follow("certificate", LOOK, move || self.look()).await;
    }

    fn look(&self) {
        let looked = Contents::read(&self.files).and_then(|contents| {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == contents {
                return Ok(false);
            }
            // Files that are replaced one after the other go together soon.
            let certified = contents.certified(&self.files);
            *seen = contents;
            self.current.store(Arc::new(certified?));
            Ok(true)
        });
        let complaint = looked.as_ref().err().map(ToString::to_string);
        let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = complaint.is_some() && *last != complaint;
        *last = complaint;
        match looked {
            Ok(true) => {
                tracing::info!(file = %self.files.certificate.display(), "the listener has a new certificate");
            }
            Ok(false) => (),
            Err(error) if is_news => tracing::error!(%error, "the listener keeps the certificate it has"),
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
    fn read(files: &settings::TlsSettings) -> Result<Self, TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| TlsError::Io { path: path.to_owned(), source });
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)? })
    }

    fn certified(&self, files: &settings::TlsSettings) -> Result<CertifiedKey, TlsError> {
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
        let files = settings::TlsSettings {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        let write_certificate =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.certificate, pair.cert.pem());
        let write_key =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.key, pair.signing_key.serialize_pem());
        let (first, second) = (pair(), pair());
        write_certificate(&first).unwrap();
        write_key(&first).unwrap();
        let certificate = Certificate::load(&files).unwrap();
        let shown = || certificate.current.load().cert[0].clone();
        let complaint = || certificate.complaint.lock().unwrap().clone();

        write_certificate(&second).unwrap();
        certificate.look();
        assert_eq!(shown(), *first.cert.der());
        fs::remove_file(&files.key).unwrap();
        certificate.look();
        assert_eq!(shown(), *first.cert.der());
        assert!(complaint().unwrap().contains("tls.key"));
        write_key(&second).unwrap();
        certificate.look();
        assert_eq!(shown(), *second.cert.der());
        assert_eq!(complaint(), None);
    }
}
