//! TLS of the public listener, with a certificate that may change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use faceline_shared::secret_file;
use faceline_shared::settings::TlsSettings;
use faceline_shared::telemetry::Metrics;
use faceline_shared::watched_file::{FileSource, WatchMetrics, WatchedFile};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The reason why the certificate cannot be used.
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
    /// A file holds no certificate, or no key.
    #[error("{path} is not as PEM files are: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The key belongs to another certificate, or is of a kind that is not supported.
    #[error("{certificate} and {key} do not go together: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The library's reason.
        reason: rustls::Error,
    },
    /// The TLS library refuses its configuration.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// The certificate of the public listener. Each new connection gets the one that the files hold at that time.
pub(in crate::http) struct Certificate {
    pair: Arc<WatchedFile<PemFiles>>,
}

/// The files of certificate and key.
struct PemFiles(TlsSettings);

/// The contents of the files of certificate and key.
#[derive(Hash)]
struct PemPair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files. Registers the metrics of the certificate and of its reloads with `metrics`.
    pub(in crate::http) fn load(files: &TlsSettings, metrics: &Metrics) -> Result<Arc<Self>, TlsError> {
        let certificates = metrics.certificates();
        let metrics = WatchMetrics::new(metrics, "certificate");
        // Only a warning: programs that renew certificates, and Kubernetes Secrets, set permissions of their own.
        if secret_file::is_readable_by_others(&files.key).unwrap_or(false) {
            tracing::warn!(file = %files.key.display(), "the private key can be read by others; chmod 600 it");
        }
        let pair = Arc::new(WatchedFile::load(PemFiles(files.clone()), metrics)?);
        let shown = Arc::clone(&pair);
        certificates.show("http.tls", move || shown.current().cert.first().map(|der| der.to_vec()));
        Ok(Arc::new(Self { pair }))
    }

    /// Accepts TLS connections with this certificate: HTTP/2 and HTTP/1.1, TLS 1.2 and 1.3.
    pub(in crate::http) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(settings)))
    }

    /// Loads the certificate again whenever its files change, until the future is dropped.
    pub(in crate::http) async fn watch(self: Arc<Self>) {
        Arc::clone(&self.pair).watch().await;
    }
}

/// Reads the certificate of the public listener as a gateway does at its start, and returns its chain.
///
/// # Errors
/// [`TlsError`]: the gateway would not start.
pub fn certificate_chain(files: &TlsSettings) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let files = PemFiles(files.clone());
    Ok(files.parse(&files.read()?)?.cert)
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate(…)")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair.current())
    }
}

impl FileSource for PemFiles {
    type Content = PemPair;
    type Value = CertifiedKey;
    type Error = TlsError;

    fn read(&self) -> Result<PemPair, TlsError> {
        let TlsSettings { certificate, key } = &self.0;
        let io = |path: &Path, source| TlsError::Io { path: path.to_owned(), source };
        Ok(PemPair {
            certificate: fs::read(certificate).map_err(|error| io(certificate, error))?,
            key: fs::read(key).map_err(|error| io(key, error))?,
        })
    }

    fn parse(&self, pair: &PemPair) -> Result<CertifiedKey, TlsError> {
        let pem = |path: &Path, reason: String| TlsError::Pem { path: path.to_owned(), reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pair.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| pem(&self.0.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(pem(&self.0.certificate, "there is no certificate in it".into()));
        }
        let key =
            PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| pem(&self.0.key, error.to_string()))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|reason| TlsError::Pair {
            certificate: self.0.certificate.clone(),
            key: self.0.key.clone(),
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
            TlsSettings { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let write_certificate =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.certificate, pair.cert.pem());
        let write_key =
            |pair: &rcgen::CertifiedKey<KeyPair>| fs::write(&files.key, pair.signing_key.serialize_pem());
        let (first, second) = (pair(), pair());
        write_certificate(&first).unwrap();
        write_key(&first).unwrap();
        let certificate = Certificate::load(&files, &Metrics::new()).unwrap();
        let shown = || certificate.pair.current().cert[0].clone();
        let complaint = || certificate.pair.error();
        // A change counts when two polls have found it.
        let poll = || (0..2).for_each(|_| certificate.pair.poll());

        write_certificate(&second).unwrap();
        poll();
        assert_eq!(shown(), *first.cert.der());
        fs::remove_file(&files.key).unwrap();
        poll();
        assert_eq!(shown(), *first.cert.der());
        assert!(complaint().unwrap().contains("tls.key"));
        write_key(&second).unwrap();
        poll();
        assert_eq!(shown(), *second.cert.der());
        assert_eq!(complaint(), None);
    }
}
