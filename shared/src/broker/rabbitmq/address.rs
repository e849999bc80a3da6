//! The server's address, and how a socket to it is opened.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::{fmt, io};

use lapin::tcp::OwnedTLSConfig;
use lapin::types::Heartbeat;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use tokio::net::lookup_host;

use crate::broker::port::BrokerError;

/// Interval of heartbeats in seconds, unless the URL sets one. The connection fails after two intervals of silence.
const DEFAULT_HEARTBEAT_SECONDS: Heartbeat = 10;

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

    /// Connects. Also returns the socket: while lapin's thread waits for a silent server, only shutting its socket down
    /// ends it.
    pub(super) async fn connect(&self, name: &str) -> lapin::Result<(Connection, Socket)> {
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
        let take_stream = async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted).into())
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Ok((Connection::connector(self.uri.clone(), runtime, take_stream, properties).await?, socket))
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

/// A connection's socket. Its drop shuts the socket down.
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
    fn there_are_heartbeats_unless_the_address_says_otherwise() {
        assert_eq!(parse("amqp://broker").unwrap().query.heartbeat, Some(DEFAULT_HEARTBEAT_SECONDS));
        assert_eq!(parse("amqp://broker?heartbeat=3").unwrap().query.heartbeat, Some(3));
    }
}
