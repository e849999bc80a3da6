//! The SSRF guard's connector: it connects only to addresses that the guard has checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::guard::AddressGuard;
use super::resolve::{Resolve, SystemResolver};

/// Maximum size of a response's status line and headers, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Reason why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has an address that the guard does not allow.
    #[error("the host has the address {0}")]
    Address(IpAddr),
    /// The host's name cannot be resolved.
    #[error("the host is not found: {0}")]
    Resolve(io::Error),
    /// None of the host's addresses accepts a connection.
    #[error("the host does not answer: {0}")]
    Connect(io::Error),
    /// The host's certificate is for another name or not trusted.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The host's name is not valid in a certificate.
    #[error("TLS: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// The server does not speak HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
}

/// Opens connections to checked addresses.
pub struct Connector {
    guard: AddressGuard,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

/// An HTTP/1.1 connection for one request. Dropping it closes it.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// A plain or a TLS stream.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connector {
    /// A connector to the addresses from `resolver` that `guard` allows. `tls` contains the trusted certificates.
    #[must_use]
    pub fn new(guard: AddressGuard, resolver: Arc<dyn Resolve>, tls: ClientConfig) -> Self {
        Self { guard, resolver, tls: Arc::new(tls).into() }
    }

    /// As [`Connector::new`], with the system's resolver and trusted certificates.
    ///
    /// # Errors
    /// The cryptography provider supports none of the default TLS versions.
    pub fn with_system_trust(guard: AddressGuard) -> Result<Self, rustls::Error> {
        Ok(Self::new(guard, Arc::new(SystemResolver), system_tls()?))
    }

    /// Connects to the host of an http or https URL by `deadline`.
    ///
    /// # Errors
    /// See the variants of [`ConnectError`]; [`ConnectError::Address`] is the guard's refusal.
    pub async fn connect(&self, url: &Url, deadline: Instant) -> Result<Connection, ConnectError> {
        let stream = self.open(url, deadline).await?;
        let stream: Box<dyn Stream> = if url.scheme() == "https" {
            let name = server_name(url)?;
            Box::new(self.tls.connect(name, stream).await.map_err(ConnectError::Tls)?)
        } else {
            Box::new(stream)
        };
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an outbound connection failed");
            }
        });
        Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Connects to the first of the host's addresses that accepts. The remaining time is divided among the addresses
    /// that have not been tried, so an address that drops all packets does not use it up.
    async fn open(&self, url: &Url, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let addresses = self.addresses(url).await?;
        let port = url.port_or_known_default().unwrap_or_default();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        for (at, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (addresses.len() - at) as u32;
            match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(ConnectError::Connect(last))
    }

    /// Resolves the host. All of its addresses must be allowed: a host with a forbidden address among others is refused
    /// altogether.
    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>, ConnectError> {
        let addresses = match url.host() {
            Some(Host::Domain(name)) => self.resolver.resolve(name).await.map_err(ConnectError::Resolve)?,
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            None => vec![],
        };
        match addresses.iter().find(|address| !self.guard.allows(url, **address)) {
            Some(address) => Err(ConnectError::Address(*address)),
            None => Ok(addresses),
        }
    }
}

impl Connection {
    /// Sends a request. The response's body can be read while this connection lives.
    ///
    /// # Errors
    /// The server closes the connection or does not speak HTTP.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }
}

fn server_name(url: &Url) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(IpAddr::from(address).into()),
        Some(Host::Ipv6(address)) => Ok(IpAddr::from(address).into()),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()),
        None => ServerName::try_from(String::new()),
    }
}

/// A TLS configuration with the system's trusted certificates, or those of the file in `SSL_CERT_FILE`.
///
/// # Errors
/// The cryptography provider supports none of the default TLS versions.
pub(super) fn system_tls() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted certificate of the system cannot be read");
    }
    let mut roots = rustls::RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        tracing::warn!("the system trusts no certificate: https URLs cannot be called");
    }
    tls(roots)
}

/// A TLS configuration that trusts `roots`.
///
/// # Errors
/// The cryptography provider supports none of the default TLS versions.
pub(super) fn tls(roots: rustls::RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
