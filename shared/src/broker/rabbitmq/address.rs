//! Addresses of the servers, and the opening of sockets to them.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use lapin::types::Heartbeat;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use rand::seq::SliceRandom as _;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout, timeout_at};

use super::problem::{io_failed, opening_failed};
use super::tls;
use crate::broker::port::BrokerError;
use crate::redact::SecretUrl;
use crate::settings::ClientTls;

/// Interval of heartbeats in seconds, unless the URL sets one. The connection fails after two intervals of silence.
const DEFAULT_HEARTBEAT_SECONDS: Heartbeat = 10;

/// Time to wait for a server to refuse the client's certificate: a round trip, and the check of a certificate.
const REFUSAL_WAIT: Duration = Duration::from_millis(200);

/// The nodes of a cluster, all of which are equivalent to a client.
#[derive(Clone)]
pub(super) struct Cluster {
    nodes: Vec<ServerAddress>,
    tls: ClientTls,
}

impl Cluster {
    /// # Errors
    /// [`BrokerError::Url`]: a URL cannot be parsed; [`BrokerError::Tls`]: a file of `tls` is unusable.
    pub(super) fn new(urls: &[SecretUrl], tls: &ClientTls) -> Result<Self, BrokerError> {
        let nodes: Vec<_> = urls.iter().map(|url| ServerAddress::new(url)).collect::<Result<_, _>>()?;
        if nodes.iter().any(|node| node.uri.scheme == AMQPScheme::AMQPS) {
            tls::connector(tls)?;
        }
        Ok(Self { nodes, tls: tls.clone() })
    }

    /// The nodes in the order of the settings.
    pub(super) fn nodes(&self) -> &[ServerAddress] {
        &self.nodes
    }

    /// The nodes in random order, which spreads connections over the cluster.
    pub(super) fn in_random_order(&self) -> Vec<&ServerAddress> {
        shuffled(self.nodes.iter().collect())
    }

    pub(super) fn tls(&self) -> &ClientTls {
        &self.tls
    }
}

fn shuffled<T>(mut all: Vec<T>) -> Vec<T> {
    all.shuffle(&mut rand::rng());
    all
}

/// Equal share of the remaining time `left` for the next of `candidates` attempts. An attempt that fails early leaves
/// more time for the later ones.
pub(super) fn fair_share(left: Duration, candidates: usize) -> Duration {
    left / u32::try_from(candidates.max(1)).unwrap_or(u32::MAX)
}

/// The address of an AMQP server, with credentials.
#[derive(Clone)]
pub(super) struct ServerAddress {
    uri: AMQPUri,
}

impl ServerAddress {
    /// # Errors
    /// [`BrokerError::Url`]: the URL cannot be parsed.
    pub(super) fn new(url: &str) -> Result<Self, BrokerError> {
        Ok(Self { uri: parse(url)? })
    }

    /// Connects within `limit`. If the name has several addresses, each gets a fair share of it. Also returns the
    /// socket: while lapin's thread waits for a server that does not answer, only shutting down the socket ends the
    /// wait.
    ///
    /// # Errors
    /// The error of the last address.
    pub(super) async fn connect(
        &self,
        limit: Duration,
        tls: &ClientTls,
        name: &str,
    ) -> Result<(Connection, Socket), BrokerError> {
        let deadline = Instant::now() + limit;
        let host = (self.uri.authority.host.as_str(), self.uri.authority.port);
        let resolved = timeout_at(deadline, lookup_host(host)).await;
        let resolved = resolved.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let addresses = shuffled(resolved.map_err(|error| io_failed(&error))?.collect());
        self.connect_to_any(&addresses, deadline, tls, name).await
    }

    async fn connect_to_any(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        tls: &ClientTls,
        name: &str,
    ) -> Result<(Connection, Socket), BrokerError> {
        let mut failure = BrokerError::Unreachable("the name has no address".into());
        for (done, address) in addresses.iter().enumerate() {
            let share =
                fair_share(deadline.saturating_duration_since(Instant::now()), addresses.len() - done);
            failure = match timeout(share, self.connect_to(*address, tls, name)).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => error,
                Err(_) => BrokerError::Unreachable(format!("{address} does not answer within {share:.1?}")),
            };
        }
        Err(failure)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        tls: &ClientTls,
        name: &str,
    ) -> Result<(Connection, Socket), BrokerError> {
        let runtime = lapin::runtime::default_runtime().map_err(|error| opening_failed(&error))?;
        let failed = |error: io::Error| io_failed(&error);
        let plain = AsyncTcpStream::connect(&runtime, address).await.map_err(failed)?;
        let AsyncTcpStream::Plain(tcp) = &plain else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        let socket = Socket(tcp.get_ref().as_fd().try_clone_to_owned().map_err(failed)?.into());
        let stream = match self.uri.scheme {
            AMQPScheme::AMQP => plain,
            AMQPScheme::AMQPS => {
                // The files are read again for each connection: certificates are replaced while the process runs.
                let connector = tls::connector(tls)?;
                let mut stream =
                    plain.into_rustls(&connector, &self.uri.authority.host).await.map_err(failed)?;
                refused_certificate(&mut stream).await.map_err(failed)?;
                stream
            }
        };
        let stream = Mutex::new(Some(stream));
        let take_stream = async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted).into())
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connector(self.uri.clone(), runtime, take_stream, properties);
        Ok((connecting.await.map_err(|error| opening_failed(&error))?, socket))
    }

    /// The version that the server names in its first frame; `None` if it names none within `limit`.
    ///
    /// lapin reads the properties of a server and does not keep them.
    pub(super) async fn version(&self, limit: Duration, tls: &ClientTls) -> Option<String> {
        let asking = async {
            let host = (self.uri.authority.host.as_str(), self.uri.authority.port);
            let address = lookup_host(host).await.ok()?.next()?;
            let runtime = lapin::runtime::default_runtime().ok()?;
            let plain = AsyncTcpStream::connect(&runtime, address).await.ok()?;
            let mut stream = match self.uri.scheme {
                AMQPScheme::AMQP => plain,
                AMQPScheme::AMQPS => {
                    plain.into_rustls(&tls::connector(tls).ok()?, &self.uri.authority.host).await.ok()?
                }
            };
            stream.write_all(PROTOCOL_HEADER).await.ok()?;
            stream.flush().await.ok()?;
            let mut said = vec![0; MAX_FIRST_FRAME_BYTES];
            let mut length = 0;
            while length < said.len() {
                match stream.read(&mut said[length..]).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => length += read,
                }
                if let Some(version) = version_in(&said[..length]) {
                    return Some(version);
                }
            }
            None
        };
        timeout(limit, asking).await.ok().flatten()
    }
}

/// The protocol header, which a client sends first (AMQP 0-9-1, 4.2.2).
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// The most bytes of a server's first frame that are read.
const MAX_FIRST_FRAME_BYTES: usize = 4096;

/// Finds the property `version` in a server's first frame (`connection.start`): a field table holds the length of the name, the
/// name, `S`, the length of the text in four bytes, and the text.
fn version_in(frame: &[u8]) -> Option<String> {
    const FIELD: &[u8] = b"\x07versionS";
    let at = frame.windows(FIELD.len()).position(|window| window == FIELD)?;
    let (length, text) = frame[at + FIELD.len()..].split_first_chunk()?;
    let text = text.get(..u32::from_be_bytes(*length) as usize)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Waits for a moment in case the server refuses the client's certificate. In TLS 1.3 the client's handshake is over
/// before the server has seen that certificate. If the client sent AMQP bytes first, the server could reset the
/// connection, and the refusal could be lost. An AMQP server sends nothing before its client does, so no other data
/// arrives here.
///
/// # Errors
/// The server's refusal, or the end of the connection.
async fn refused_certificate(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut byte = [0];
    match timeout(REFUSAL_WAIT, stream.read(&mut byte)).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(io::Error::other("the server ends the connection after the TLS handshake")),
        Ok(Ok(_)) => Err(io::Error::other("the server does not speak AMQP")),
        Ok(Err(error)) => Err(error),
    }
}

fn parse(url: &str) -> Result<AMQPUri, BrokerError> {
    // The parser's error message repeats the URL with its password, so it is replaced.
    let mut uri: AMQPUri = url.parse().map_err(|_: String| {
        BrokerError::Url("expected amqp://user:password@host:port/vhost or amqps://…".into())
    })?;
    // The parser ignores a host in brackets (IPv6) and would connect to localhost.
    if let Some(address) = uri_host(url).strip_prefix('[').and_then(|host| host.split(']').next()) {
        uri.authority.host = address.to_owned();
    }
    // As in most clients, `amqp://host/` means the default virtual host, and not one with an empty name.
    if uri.vhost.is_empty() {
        uri.vhost = "/".to_owned();
    }
    uri.query.heartbeat.get_or_insert(DEFAULT_HEARTBEAT_SECONDS);
    Ok(uri)
}

/// The host and port of a URL, as text.
fn uri_host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// The address without credentials.
impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, .. } = &self.uri;
        write!(formatter, "{scheme}://{}:{}", authority.host, authority.port)
    }
}

/// The socket of a connection. Dropping it shuts the socket down.
pub(super) struct Socket(TcpStream);

impl Drop for Socket {
    fn drop(&mut self) {
        // Fails if the connection has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name_or_a_number_of_either_kind() {
        for (url, host, port) in [
            ("amqp://guest:guest@broker", "broker", 5672),
            ("amqp://127.0.0.1:1234", "127.0.0.1", 1234),
            ("amqps://broker/vhost", "broker", 5671),
            ("amqp://user:pass@[::1]:1234/vhost", "::1", 1234),
        ] {
            let authority = parse(url).unwrap().authority;
            assert_eq!((authority.host.as_str(), authority.port), (host, port), "{url}");
        }
    }

    #[test]
    fn without_a_virtual_host_it_is_the_default_one() {
        for (url, vhost) in [
            ("amqp://broker", "/"),
            ("amqp://broker/", "/"),
            ("amqps://broker/?heartbeat=3", "/"),
            ("amqp://broker/%2f", "/"),
            ("amqp://broker/%2F", "/"),
            ("amqp://broker/faces", "faces"),
            ("amqp://broker/a%2fb", "a/b"),
        ] {
            assert_eq!(parse(url).unwrap().vhost, vhost, "{url}");
        }
    }

    #[test]
    fn what_early_failures_leave_is_shared_by_the_others() {
        let limit = Duration::from_secs(5);
        assert_eq!(fair_share(limit, 1), limit);
        assert_eq!(fair_share(limit, 5), Duration::from_secs(1));
        assert_eq!(fair_share(Duration::from_secs(4), 2), Duration::from_secs(2));
        assert_eq!(fair_share(Duration::ZERO, 3), Duration::ZERO);
    }

    #[tokio::test]
    async fn an_address_that_never_answers_leaves_time_for_the_next() {
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // The kernel accepts connections for a listener, but no program answers them.
        let silent = listener();
        let closed = listener().local_addr().unwrap();
        let address = ServerAddress::new("amqp://broker").unwrap();
        let deadline = Instant::now() + Duration::from_secs(2);
        let addresses = [silent.local_addr().unwrap(), closed];
        let failure = address.connect_to_any(&addresses, deadline, &ClientTls::default(), "test").await;
        assert!(Instant::now() < deadline, "the first address had the whole time");
        let failure = failure.err().unwrap().to_string();
        assert!(failure.contains("refused"), "{failure}");
    }

    #[test]
    fn the_version_is_read_from_the_first_frame() {
        let frame = b"\x01\0\0\x07versionS\0\0\0\x063.10.8\x08platformS";
        assert_eq!(version_in(frame).as_deref(), Some("3.10.8"));
        assert_eq!(version_in(&frame[..16]), None, "a part of it");
        assert_eq!(version_in(b""), None);
    }

    #[test]
    fn there_are_heartbeats_unless_the_address_says_otherwise() {
        assert_eq!(parse("amqp://broker").unwrap().query.heartbeat, Some(DEFAULT_HEARTBEAT_SECONDS));
        assert_eq!(parse("amqp://broker?heartbeat=3").unwrap().query.heartbeat, Some(3));
    }
}
