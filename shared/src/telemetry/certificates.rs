//! Metrics of the expiry of certificates.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::certificate::not_after;

/// The DER encoding of a certificate that is in use; `None` while there is none.
type Source = Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// The certificates that a process uses. Clones share the list.
///
/// Each is read whenever the metrics are read, because certificates are renewed while the process runs.
#[derive(Clone)]
pub struct CertificateExpiry {
    sources: Arc<Mutex<Vec<(&'static str, Source)>>>,
    gauges: IntGaugeVec,
}

impl CertificateExpiry {
    pub(super) fn new() -> Self {
        let opts = Opts::new(
            "faceline_certificate_expiry_timestamp_seconds",
            "End of a certificate's validity, as seconds since 1970-01-01 UTC, by the setting that names the certificate.",
        );
        let gauges = IntGaugeVec::new(opts, &["certificate"]).expect("the name is valid");
        Self { sources: Arc::default(), gauges }
    }

    /// Shows a certificate under the name of its setting. `certificate` returns its DER encoding.
    pub fn show(
        &self,
        name: &'static str,
        certificate: impl Fn() -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push((name, Box::new(certificate)));
    }

    /// Shows the first certificate of a PEM file.
    pub fn show_file(&self, name: &'static str, file: &Path) {
        let file = file.to_owned();
        self.show(name, move || CertificateDer::from_pem_file(&file).ok().map(|der| der.to_vec()));
    }
}

impl fmt::Debug for CertificateExpiry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CertificateExpiry(…)")
    }
}

impl Collector for CertificateExpiry {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A certificate that cannot be read any more has no value, rather than its last one.
        self.gauges.reset();
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, source) in sources.iter() {
            let end = source().as_deref().and_then(not_after);
            if let Some(end) = end.and_then(|end| end.duration_since(UNIX_EPOCH).ok()) {
                self.gauges.with_label_values(&[*name]).set(end.as_secs().cast_signed());
            }
        }
        self.gauges.collect()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;
    use crate::telemetry::Metrics;

    fn write_certificate(file: &Path, year: i32) -> i64 {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 5, 6);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        std::fs::write(file, certificate.pem()).unwrap();
        params.not_after.unix_timestamp()
    }

    #[test]
    fn the_end_of_a_certificate_follows_its_file() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("client.crt");
        let metrics = Metrics::new();
        metrics.certificates().show_file("broker.tls", &file);
        let shown = || {
            let text = metrics.encode();
            let line = text.lines().find(|line| line.starts_with("faceline_certificate_expiry"));
            line.map(str::to_owned)
        };
        assert_eq!(shown(), None);
        for year in [2031, 2032] {
            let end = write_certificate(&file, year);
            let name = "faceline_certificate_expiry_timestamp_seconds{certificate=\"broker.tls\"}";
            assert_eq!(shown(), Some(format!("{name} {end}")));
        }
        std::fs::write(&file, "no certificate").unwrap();
        assert_eq!(shown(), None);
    }
}
