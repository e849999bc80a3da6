//! A private certificate authority for a test.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A certificate authority, whose files live as long as it.
pub struct TestAuthority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// PEM files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct TestCertificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl TestAuthority {
    /// A new authority with a key of its own.
    ///
    /// # Panics
    /// The temporary folder cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("faceline-ca-").tempdir().expect("a temporary folder");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Faceline test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key pair");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let authority = Self { folder, issuer };
        fs::write(authority.file(), authority.issuer.pem()).expect("the folder can be written");
        authority
    }

    /// PEM file of the authority's certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `localhost` and `127.0.0.1`, for servers and clients. `name` is its subject and names its
    /// files.
    ///
    /// # Panics
    /// The temporary folder cannot be written.
    #[must_use]
    pub fn issue(&self, name: &str) -> TestCertificate {
        self.issue_with(name, |_| ())
    }

    /// As [`Self::issue`], valid until the day `(year, month, day)`.
    ///
    /// # Panics
    /// As [`Self::issue`]; there is no such day.
    #[must_use]
    pub fn issue_until(&self, name: &str, (year, month, day): (i32, u8, u8)) -> TestCertificate {
        self.issue_with(name, |params| params.not_after = rcgen::date_time_ymd(year, month, day))
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TestCertificate {
        let key = KeyPair::generate().expect("a key pair");
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let write = |ending: &str, text: String| {
            let path = self.folder.path().join(format!("{name}.{ending}"));
            fs::write(&path, text).expect("the folder can be written");
            path
        };
        TestCertificate {
            certificate: write("pem", certificate.pem()),
            key: write("key", key.serialize_pem()),
        }
    }
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}
