//! The client of the operators' listener, for the command `probe`: it asks a running program for its health. With it,
//! the health checks of images need no shell and no curl.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::health::HealthSubject;

/// An answer that takes longer than this counts as none.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Reason why a probe fails.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The program does not answer.
    #[error("no answer from {address}: {source}")]
    NoAnswer {
        /// Address of the operators' listener.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The program answers that it is not ready. The text is its answer.
    #[error("{0}")]
    NotServing(String),
}

/// Asks the program whose operators' listener has the address `listen`, and returns its answer.
///
/// # Errors
/// [`ProbeError`] if there is no answer within two seconds, or its status is not 200.
pub fn probe(listen: SocketAddr, subject: HealthSubject) -> Result<String, ProbeError> {
    let address = reachable(listen);
    let answer = ask(address, subject).map_err(|source| ProbeError::NoAnswer { address, source })?;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let text = text.trim_end().to_owned();
    match head.split(' ').nth(1) {
        Some("200") => Ok(text),
        _ => Err(ProbeError::NotServing(text)),
    }
}

/// Returns the address to connect to: the loopback address if the program listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, subject: HealthSubject) -> io::Result<String> {
    let path = match subject {
        HealthSubject::Liveness => "/livez",
        HealthSubject::Readiness => "/readyz",
    };
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the answer is not chunked, and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::{Admin, Readiness};
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test(flavor = "multi_thread")]
    async fn it_gives_the_answer_of_the_listener() {
        let readiness = Readiness::new();
        let condition = readiness.condition("models");
        let admin = Admin { readiness, metrics: Metrics::new() };
        let end = CancellationToken::new();
        let address = admin.serve("127.0.0.1:0".parse().unwrap(), end.clone()).await.unwrap();
        let ask = async |subject| {
            let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
            tokio::task::spawn_blocking(move || probe(everywhere, subject)).await.unwrap()
        };
        assert_eq!(ask(HealthSubject::Liveness).await.unwrap(), "ok");
        let Err(ProbeError::NotServing(reason)) = ask(HealthSubject::Readiness).await else {
            panic!("it is not ready")
        };
        assert!(reason.contains("models"), "{reason}");
        condition.set(true);
        assert_eq!(ask(HealthSubject::Readiness).await.unwrap(), "ok");
    }

    #[test]
    fn a_listener_that_is_closed_or_silent_is_no_healthy_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let silent = probe(address, HealthSubject::Liveness).unwrap_err();
        assert!(silent.to_string().contains(&address.to_string()), "{silent}");
        drop(listener);
        assert!(matches!(probe(address, HealthSubject::Liveness), Err(ProbeError::NoAnswer { .. })));
    }

    #[test]
    fn an_address_of_all_interfaces_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.7:9090", "10.0.0.7:9090"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
