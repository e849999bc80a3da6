//! Redis over TLS with a private authority and client certificates.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::blob::redis::RedisBlobs;
use faceline_shared::blob::{BlobError, BlobStore as _};
use faceline_shared::settings::ClientTls;
use faceline_shared::testkit::{Redis, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const MINUTE: Duration = Duration::from_secs(60);

/// Files of an authority and of the certificates that it issued.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: TempDir::new().unwrap() };
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certifies `name`; the files of certificate and key.
    fn certify(&self, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // A subject with the issuer's name would make the certificate self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = [self.file(&format!("{name}.crt")), self.file(&format!("{name}.key"))];
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }

    fn trusted(&self) -> ClientTls {
        ClientTls { ca: Some(self.file("ca.pem")), ..ClientTls::default() }
    }
}

/// A server that demands client certificates of `authority`; its address.
async fn start(authority: &Authority) -> (Redis, String) {
    let port = free_port().to_string();
    let [certificate, key] = authority.certify("127.0.0.1");
    let ca = authority.file("ca.pem");
    let paths = [&certificate, &key, &ca].map(|path| path.to_str().unwrap());
    let [certificate, key, ca] = paths;
    let options = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        ca,
    ];
    let server = Redis::start_with(&options).await;
    (server, format!("rediss://127.0.0.1:{port}"))
}

async fn put(url: &str, tls: &ClientTls) -> Result<(), BlobError> {
    RedisBlobs::new(url, tls)?.put("a", Bytes::from_static(b"x"), MINUTE).await
}

#[tokio::test]
async fn a_private_authority_and_a_client_certificate_open_the_connection() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_server, url) = start(&authority).await;
    let [certificate, key] = authority.certify("client");
    let tls = ClientTls { certificate: Some(certificate), key: Some(key), ..authority.trusted() };
    put(&url, &tls).await.unwrap();
    RedisBlobs::new(&url, &tls).unwrap().check().await.unwrap();

    // The server is not known, the client is not known, and the client shows no certificate.
    let [certificate, key] = stranger.certify("client");
    let stranger_client = ClientTls { certificate: Some(certificate), key: Some(key), ..authority.trusted() };
    for refused in [
        ClientTls { ca: stranger.trusted().ca, ..tls.clone() },
        ClientTls { ca: None, ..tls.clone() },
        stranger_client,
        authority.trusted(),
    ] {
        let error = put(&url, &refused).await.unwrap_err();
        assert!(matches!(error, BlobError::Unreachable(_)), "{refused:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_renewed_counts_from_the_next_connection_on() {
    let authority = Authority::new();
    let (mut server, url) = start(&authority).await;
    let stranger = Authority::new();
    let [certificate, key] = stranger.certify("client");
    let tls =
        ClientTls { certificate: Some(certificate.clone()), key: Some(key.clone()), ..authority.trusted() };
    let blobs = RedisBlobs::new(&url, &tls).unwrap();
    assert!(blobs.check().await.is_err());
    let renewed = authority.certify("client");
    for (from, to) in renewed.iter().zip([&certificate, &key]) {
        std::fs::copy(from, to).unwrap();
    }
    blobs.check().await.unwrap();
    server.restart().await;
    blobs.check().await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let [certificate, key] = authority.certify("client");
    let garbage = authority.file("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let missing = authority.file("missing.pem");
    let pair = |certificate: &PathBuf, key: &PathBuf| ClientTls {
        ca: None,
        certificate: Some(certificate.clone()),
        key: Some(key.clone()),
    };
    for (tls, named) in [
        (ClientTls { ca: Some(missing.clone()), ..ClientTls::default() }, "missing.pem"),
        (ClientTls { ca: Some(garbage.clone()), ..ClientTls::default() }, "garbage.pem"),
        (pair(&certificate, &missing), "missing.pem"),
        (pair(&garbage, &key), "garbage.pem"),
    ] {
        let error = RedisBlobs::new("rediss://127.0.0.1", &tls).err().expect("it is taken");
        assert!(matches!(&error, BlobError::Tls(said) if said.contains(named)), "{error:?}");
        // They have no effect on an address without TLS.
        assert!(RedisBlobs::new("redis://127.0.0.1", &tls).is_ok());
    }
}
