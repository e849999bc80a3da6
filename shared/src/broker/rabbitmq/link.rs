//! One connection, from its making to its first failure. Links are never mended, only replaced.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use futures_util::{Stream, StreamExt};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::Heartbeat;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, ConnectionStatus, Event};
use tokio::net::lookup_host;
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::topology::Topology;
use crate::broker::BrokerError;

/// A connection that is not open by then is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Time that the server has for an answer. A little less than what publishers wait, who see the link replaced then.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Time for all queues to be declared: on a cluster each one takes an election.
const DECLARE_LIMIT: Duration = Duration::from_secs(30);

/// Interval of heartbeats where the address names none, in seconds; a silent connection is lost after two.
const HEARTBEAT: Heartbeat = 10;

/// How often the state of a connection is looked at, in case that its end made no event.
const PULSE: Duration = Duration::from_secs(1);

/// Time that a connection has for its last words.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Where to connect, and what must be there.
#[derive(Clone)]
pub(super) struct Target {
    uri: AMQPUri,
    topology: Arc<Topology>,
}

impl Target {
    pub(super) fn new(url: &str, topology: Arc<Topology>) -> Result<Self, BrokerError> {
        Ok(Self { uri: parse(url)?, topology })
    }

    /// Connects. The socket comes along because lapin's thread, once it waits for a silent server, ends in no other
    /// way than by the end of its socket.
    async fn connect(&self, name: &str) -> lapin::Result<(Connection, Socket)> {
        let host = &self.uri.authority.host;
        let runtime = lapin::runtime::default_runtime()?;
        let addresses: Vec<_> = lookup_host((host.as_str(), self.uri.authority.port)).await?.collect();
        let plain = AsyncTcpStream::connect(&runtime, addresses).await?;
        let AsyncTcpStream::Plain(tcp) = &plain else {
            return Err(io::Error::from(io::ErrorKind::Unsupported).into());
        };
        let socket = Socket(tcp.get_ref().as_fd().try_clone_to_owned()?.into());
        let stream = match self.uri.scheme {
            AMQPScheme::AMQP => plain,
            AMQPScheme::AMQPS => plain.into_tls(host, OwnedTLSConfig::default().as_ref()).await?,
        };
        let stream = Mutex::new(Some(stream));
        let once = async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted).into())
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Ok((Connection::connector(self.uri.clone(), runtime, once, properties).await?, socket))
    }
}

fn parse(url: &str) -> Result<AMQPUri, BrokerError> {
    // The parser's own message repeats the address, and with it the password.
    let mut uri: AMQPUri = url.parse().map_err(|_: String| {
        BrokerError::Url("expected amqp://user:password@host:port/vhost or amqps://…".into())
    })?;
    // It takes an IPv6 address for none at all, and that for localhost.
    if let Some(address) = uri_host(url).strip_prefix('[').and_then(|host| host.split(']').next()) {
        uri.authority.host = address.to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

/// What stands at the place of host and port.
fn uri_host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// The server, without credentials.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, .. } = &self.uri;
        write!(formatter, "{scheme}://{}:{}", authority.host, authority.port)
    }
}

/// Ends the connection when it is dropped.
struct Socket(TcpStream);

impl Drop for Socket {
    fn drop(&mut self) {
        // It fails where the connection has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The end of a link's use, and its reason.
#[derive(Clone, Default)]
struct Failure {
    reason: Arc<OnceLock<String>>,
    token: CancellationToken,
}

impl Failure {
    fn set(&self, reason: &dyn fmt::Display) {
        let _ = self.reason.set(reason.to_string());
        self.token.cancel();
    }
}

/// A connection that nobody has found fault with, or that is about to be replaced.
pub(super) struct Link {
    open: Option<(Connection, Socket)>,
    failure: Failure,
    runtime: Handle,
}

impl Link {
    /// Connects and sees to the queues.
    pub(super) async fn open(target: &Target, name: &str) -> Result<Self, BrokerError> {
        let connected = timeout(CONNECT_LIMIT, target.connect(name)).await;
        let (connection, socket) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(BrokerError::Unreachable(error.to_string())),
            Err(_) => {
                return Err(BrokerError::Unreachable(format!("no connection within {CONNECT_LIMIT:?}")));
            }
        };
        let failure = Failure::default();
        let runtime = Handle::current();
        runtime.spawn(watch(connection.status().clone(), connection.events_listener(), failure.clone()));
        let link = Self { open: Some((connection, socket)), failure, runtime };
        match timeout(DECLARE_LIMIT, target.topology.assert(&link)).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(error)) if error.is_amqp_soft_error() => Err(BrokerError::Topology(error.to_string())),
            Ok(Err(error)) => Err(BrokerError::Unreachable(error.to_string())),
            Err(_) => Err(BrokerError::Unreachable(format!("no queues within {DECLARE_LIMIT:?}"))),
        }
    }

    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection().create_channel().await
    }

    /// Whether the server takes no messages because its memory or its disk is full.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection().status().blocked()
    }

    /// Says that the link is to be replaced. What its users have under way may still end well.
    pub(super) fn fail(&self, reason: &dyn fmt::Display) {
        self.failure.set(reason);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.token.is_cancelled()
    }

    /// Waits for the first failure.
    pub(super) async fn failed(&self) -> &str {
        self.failure.token.cancelled().await;
        self.failure.reason.get().map_or("", String::as_str)
    }

    /// Ends the connection in good order.
    pub(super) async fn close(&self) {
        self.fail(&"closed");
        close(self.connection()).await;
    }

    fn connection(&self) -> &Connection {
        let (connection, _) = self.open.as_ref().expect("taken by drop alone");
        connection
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.fail(&"dropped");
        let Some((connection, socket)) = self.open.take() else { return };
        self.runtime.spawn(async move {
            close(&connection).await;
            drop(socket);
        });
    }
}

/// What the server answers, if it does so in time.
pub(super) async fn answer<T>(asking: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    timeout(ANSWER_LIMIT, asking)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn close(connection: &Connection) {
    // An error means that it is closed, and silence that its socket has to be ended.
    let _ = timeout(CLOSE_LIMIT, connection.close(200, "OK".into())).await;
}

/// Notices the end of a connection. Channels are looked after by their users.
async fn watch(status: ConnectionStatus, events: impl Stream<Item = Event>, failure: Failure) {
    let mut events = std::pin::pin!(events);
    let mut pulse = interval(PULSE);
    loop {
        tokio::select! {
            () = failure.token.cancelled() => return,
            event = events.next() => match event {
                Some(Event::Error(error)) if !error.is_amqp_soft_error() => failure.set(&error),
                Some(Event::ConnectionBlocked(reason)) => tracing::warn!(reason, "the broker takes no messages"),
                Some(Event::ConnectionUnblocked) => tracing::info!("the broker takes messages again"),
                Some(_) => (),
                None => failure.set(&"the connection is gone"),
            },
            _ = pulse.tick() => if !status.connected() {
                failure.set(&"the connection is closed");
            },
        }
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
    fn there_are_heartbeats_unless_the_address_says_otherwise() {
        assert_eq!(parse("amqp://broker").unwrap().query.heartbeat, Some(HEARTBEAT));
        assert_eq!(parse("amqp://broker?heartbeat=3").unwrap().query.heartbeat, Some(3));
    }
}
