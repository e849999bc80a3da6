//! The section `http`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::error::{SettingsError, all_above_zero, invalid};
use super::network::Network;

/// The default of `http.shutdown_delay` for listeners that other machines reach.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(5);

/// The public listener.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port of the listener. Addresses other than those of the loopback interface need `accounts.file`.
    pub listen: SocketAddr,
    /// Maximum number of concurrent connections, as far as the limit on open files permits. For a new connection
    /// beyond it, the gateway closes the one that has been idle longest. If all are busy, the new one waits until one
    /// becomes idle.
    pub max_connections: usize,
    /// Time after which the gateway closes a connection that has not sent complete request headers. It begins when
    /// the connection opens, and for later requests with their first byte. `body_timeout` applies to bodies.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// Time after which the gateway closes a connection without a request in progress, even if the caller sends
    /// HTTP/2 pings or does not read its answers. It must be above the idle timeout of load balancers, which is
    /// usually 600 s or less.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Time after which the gateway aborts a request body that makes no progress.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Maximum size of the headers of a request, in bytes.
    pub max_header_bytes: usize,
    /// Maximum number of concurrent HTTP/2 requests on one connection.
    pub max_streams: u32,
    /// Age, plus or minus a tenth, after which a connection takes no new requests; the gateway still answers those in
    /// progress. Callers then open new connections, which also reach gateways that were started later.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// Time after a signal to stop for which the gateway still accepts and serves requests, but is not ready, until
    /// load balancers notice. If this is not set: 5 s, and 0 s for a loopback listener.
    #[serde(with = "humantime_serde")]
    pub shutdown_delay: Option<Duration>,
    /// Networks of the proxies that may state the caller's address, in the headers `Forwarded` and `X-Forwarded-For`
    /// and, with `proxy_protocol`, in the PROXY protocol. Statements from other addresses are ignored.
    pub trusted_proxies: Vec<Network>,
    /// Whether each connection from `trusted_proxies` begins with a PROXY protocol header (version 1 or 2).
    /// Connections from other addresses have none.
    pub proxy_protocol: bool,
    /// Origins whose pages may call the service from a browser, such as `["https://app.example"]`.
    pub cors_origins: Vec<String>,
    /// Certificate and key. With them the listener speaks TLS.
    pub tls: Option<TlsSettings>,
    /// Whether the listener serves the API description (`/openapi.json`) and a page to try the API (`/docs/`). If
    /// this is not set, only a loopback listener serves them.
    pub docs: Option<bool>,
}

/// Certificate and key of the public listener. The gateway reads both files again when they change.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key: PKCS #8, PKCS #1 or SEC1, not encrypted.
    pub key: PathBuf,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(620),
            body_timeout: Duration::from_secs(15),
            max_header_bytes: 16 * 1024,
            max_streams: 256,
            max_connection_age: Duration::from_mins(10),
            shutdown_delay: None,
            trusted_proxies: vec![],
            proxy_protocol: false,
            cors_origins: vec![],
            tls: None,
            docs: None,
        }
    }
}

impl HttpSettings {
    /// Whether the listener serves the description of the API.
    #[must_use]
    pub fn has_docs(&self) -> bool {
        self.docs.unwrap_or_else(|| self.listen.ip().is_loopback())
    }

    /// Time for which the listener continues to accept connections after a signal to stop.
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        let default = if self.listen.ip().is_loopback() { Duration::ZERO } else { SHUTDOWN_DELAY };
        self.shutdown_delay.unwrap_or(default)
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return invalid(
                "http.proxy_protocol needs http.trusted_proxies: the networks of the proxies that send the header",
            );
        }
        if let Some(wrong) = self.cors_origins.iter().find(|origin| !is_origin(origin)) {
            return invalid(format!(
                "http.cors_origins: `{wrong}` is no origin; expected scheme, host and maybe port, as in https://app.example"
            ));
        }
        all_above_zero([
            ("http.max_connections", self.max_connections as u128),
            ("http.max_connection_age", self.max_connection_age.as_millis()),
            ("http.header_timeout", self.header_timeout.as_millis()),
            ("http.idle_timeout", self.idle_timeout.as_millis()),
        ])
    }
}

/// Whether a text is an origin as browsers send it (RFC 6454, 6.2): nothing but scheme, host and a port that is not the
/// scheme's default.
pub(super) fn is_origin(text: &str) -> bool {
    // There are no wildcards: every origin is named.
    !text.contains('*')
        && Url::parse(text)
            .is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_have_time_to_notice_a_shutdown() {
        let of = |listen: &str, shutdown_delay: Option<u64>| {
            let shutdown_delay = shutdown_delay.map(Duration::from_secs);
            HttpSettings { listen: listen.parse().unwrap(), shutdown_delay, ..HttpSettings::default() }
                .shutdown_delay()
                .as_secs()
        };
        assert_eq!((of("127.0.0.1:1", None), of("[::1]:1", None)), (0, 0));
        assert_eq!((of("0.0.0.0:1", None), of("[::]:1", None), of("10.0.0.7:1", None)), (5, 5, 5));
        assert_eq!((of("127.0.0.1:1", Some(2)), of("0.0.0.0:1", Some(0))), (2, 0));
    }

    #[test]
    fn the_proxy_protocol_is_for_named_proxies() {
        let mut settings = HttpSettings { proxy_protocol: true, ..HttpSettings::default() };
        assert!(settings.validate().unwrap_err().to_string().contains("http.trusted_proxies"));
        settings.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
        assert!(settings.validate().is_ok());
    }

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        for origin in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(origin), "{origin}");
        }
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example:443",
            "https://APP.example",
            "https://*.example",
            "file:///tmp",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
        let settings =
            HttpSettings { cors_origins: vec!["https://app.example/".into()], ..HttpSettings::default() };
        assert!(settings.validate().unwrap_err().to_string().contains("`https://app.example/` is no origin"));
    }
}
