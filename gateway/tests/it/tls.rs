//! TLS of the public listener.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway::GatewayError;
use faceline_gateway::http::{ListenError, TlsError};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, TlsSettings};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Answer, request};
use crate::gateway::Gateway;
use crate::workers::Workers;

const LONG: Duration = Duration::from_secs(20);

/// A certificate for `localhost` with its key.
fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// The files of certificate and key in `folder`.
fn files(folder: &Path) -> TlsSettings {
    TlsSettings { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

fn write(folder: &Path, certificate: &CertifiedKey<KeyPair>) {
    std::fs::write(folder.join("tls.key"), certificate.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.cert.pem()).unwrap();
}

async fn gateway(folder: &TempDir) -> Gateway {
    let tls = files(folder.path());
    Gateway::with(Workers::able(), |config| {
        config.http.tls = Some(tls);
        config.http.header_timeout = Duration::from_millis(300);
    })
    .await
}

/// Connects as a client that trusts `certificate` alone.
async fn connect(
    gateway: &Gateway,
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut settings = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    settings.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(gateway.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(settings)).connect(name, stream).await
}

async fn ask(mut stream: TlsStream<TcpStream>) -> Answer {
    stream.write_all(&request("GET /livez", &[], b"")).await.unwrap();
    let mut answer = Vec::new();
    // The end of the stream is an error if the server does not send close_notify.
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    Answer::parse(&answer)
}

#[tokio::test]
async fn both_protocols_are_offered_and_a_stranger_is_not_trusted() {
    let folder = TempDir::new().unwrap();
    let ours = certificate();
    write(folder.path(), &ours);
    let gateway = gateway(&folder).await;
    let ours = ours.cert.der();
    for (offered, expected) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let stream = connect(&gateway, ours, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected, "{offered:?}");
    }
    assert_eq!(ask(connect(&gateway, ours, &["http/1.1"]).await.unwrap()).await.status, 200);
    assert!(connect(&gateway, certificate().cert.der(), &[]).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections() {
    let folder = TempDir::new().unwrap();
    let (first, second, third) = (certificate(), certificate(), certificate());
    write(folder.path(), &first);
    let gateway = gateway(&folder).await;
    let early = connect(&gateway, first.cert.der(), &["http/1.1"]).await.unwrap();
    assert_eq!(ask(early).await.status, 200);

    write(folder.path(), &second);
    gateway.until(async || connect(&gateway, second.cert.der(), &[]).await.is_ok()).await;
    assert!(connect(&gateway, first.cert.der(), &[]).await.is_err());

    write(folder.path(), &third);
    gateway.until(async || connect(&gateway, third.cert.der(), &[]).await.is_ok()).await;
}

#[tokio::test]
async fn a_handshake_that_stops_is_given_up() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), &certificate());
    let gateway = gateway(&folder).await;
    // The beginning of a TLS record, and a request without TLS.
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET /livez HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_said_at_the_start() {
    let folder = TempDir::new().unwrap();
    let refused = async || {
        let data = TempDir::new().unwrap();
        let mut config = Settings { data_dir: data.path().to_owned(), ..Settings::default() };
        config.http.listen = ([127, 0, 0, 1], 0).into();
        config.http.tls = Some(files(folder.path()));
        match faceline_gateway::Gateway::start(SharedServices::open(config).unwrap()).await {
            Err(GatewayError::Listen(ListenError::Tls(error))) => error,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it started"),
        }
    };
    assert!(matches!(refused().await, TlsError::Io { .. }));
    let (one, other) = (certificate(), certificate());
    write(folder.path(), &one);
    std::fs::write(folder.path().join("tls.key"), other.signing_key.serialize_pem()).unwrap();
    assert!(matches!(refused().await, TlsError::Pair { .. }));
    for file in ["tls.crt", "tls.key"] {
        write(folder.path(), &one);
        std::fs::write(folder.path().join(file), "").unwrap();
        let error = refused().await;
        assert!(matches!(error, TlsError::Pem { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
}
