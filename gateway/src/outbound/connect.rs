//! Connections to exactly the addresses that were looked at.

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

use super::{AddressGuard, Resolve};

/// Of an answer's headers.
const LONGEST_HEAD: usize = 64 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has an address that may not be called.
    #[error("the host has the address {0}")]
    Address(IpAddr),
    /// The host's addresses are not known.
    #[error("the host is not found: {0}")]
    Resolve(io::Error),
    /// None of the host's addresses answers.
    #[error("the host does not answer: {0}")]
    Connect(io::Error),
    /// The host is not the one that its certificate is for, or nobody trusts that.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// A host that certificates cannot be for.
    #[error("TLS: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// No HTTP is spoken there.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
}

/// Opens connections.
pub struct Connector {
    guard: AddressGuard,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

/// A connection for one exchange (HTTP/1.1). It ends when this is dropped.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connector {
    /// Connections to what `guard` allows of what `resolver` says; `tls` says which certificates are trusted.
    #[must_use]
    pub fn new(guard: AddressGuard, resolver: Arc<dyn Resolve>, tls: ClientConfig) -> Self {
        Self { guard, resolver, tls: Arc::new(tls).into() }
    }

    /// Connects to the host of an http or https URL by `deadline`.
    ///
    /// # Errors
    /// One of its addresses may not be called, or nobody is there.
    pub async fn connect(&self, url: &Url, deadline: Instant) -> Result<Connection, ConnectError> {
        let stream = self.open(url, deadline).await?;
        let stream: Box<dyn Stream> = if url.scheme() == "https" {
            let name = server_name(url)?;
            Box::new(self.tls.connect(name, stream).await.map_err(ConnectError::Tls)?)
        } else {
            Box::new(stream)
        };
        let (sender, connection) =
            http1::Builder::new().max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection that this gateway opened broke off");
            }
        });
        Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// One of the host's addresses that answers. What is left of the time is shared among those that have not been
    /// tried, so that one that swallows everything is not the end.
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

    /// The host's addresses, all of which may be called: a host that has others besides is none to be trusted.
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
    /// Sends a request; the answer's body lasts as long as the connection.
    ///
    /// # Errors
    /// The other side speaks no HTTP, or hangs up.
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

/// TLS that trusts what the system trusts (or the file that `SSL_CERT_FILE` names).
///
/// # Errors
/// The provider of cryptography has none of the usual versions of TLS.
pub(super) fn system_tls() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be used");
    }
    let mut roots = rustls::RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        tracing::warn!("the system trusts no certificate: https URLs cannot be fetched");
    }
    tls(roots)
}

/// TLS that trusts `roots`.
pub(super) fn tls(roots: rustls::RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
