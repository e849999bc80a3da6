//! Determines the address of a caller behind proxies. `proxy_header` reads the PROXY protocol header of a connection,
//! `forwarded` reads `Forwarded` and `X-Forwarded-For` of a request. Only what trusted proxies state counts.

mod forwarded;
mod proxy_header;

use std::net::IpAddr;
use std::sync::Arc;

use faceline_shared::settings::{HttpSettings, Network};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _};

pub(super) use self::proxy_header::ProxyHeaderError;

/// The proxies that may state the caller's address.
#[derive(Clone, Debug)]
pub(super) struct TrustedProxies {
    networks: Arc<[Network]>,
    /// Whether connections of trusted proxies begin with a header of the PROXY protocol.
    send_header: bool,
}

impl TrustedProxies {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self { networks: settings.trusted_proxies.clone().into(), send_header: settings.proxy_protocol }
    }

    /// Whether a connection from this address is one of a trusted proxy.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Returns the source address of a connection. Reads it from the header of the PROXY protocol if `peer` has to send
    /// one; otherwise it is `peer`.
    ///
    /// # Errors
    /// [`ProxyHeaderError`] if the header is missing or malformed, or the connection ends.
    pub(super) async fn source(
        &self,
        peer: IpAddr,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<IpAddr, ProxyHeaderError> {
        if !self.send_header || !self.include(peer) {
            return Ok(peer);
        }
        // The header is read exactly to its end: the bytes after it belong to TLS or HTTP.
        Ok(proxy_header::read(stream).await?.unwrap_or(peer))
    }

    /// Returns the caller's address of a request over a connection from `source`.
    ///
    /// Each proxy appends its own caller's address, so the nearest proxy wrote the last address. Read from the end, an
    /// address counts only while all addresses after it, and `source`, are those of trusted proxies.
    pub(super) fn caller(&self, source: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.include(source) {
            return source;
        }
        let follow = |hops: Vec<Option<IpAddr>>| {
            let mut caller = source;
            for hop in hops.into_iter().rev() {
                // The proxy did not state its caller's address, or not a valid one: the last known hop is the result.
                let Some(address) = hop else { break };
                caller = address;
                if !self.include(address) {
                    break;
                }
            }
            caller
        };
        match (forwarded::forwarded(headers).map(follow), forwarded::x_forwarded_for(headers).map(follow)) {
            (None, None) => source,
            (Some(caller), None) | (None, Some(caller)) => caller,
            // A proxy writes one of the two headers and passes the other on as its caller sent it. The gateway does not
            // know which one the proxy wrote.
            (Some(one), Some(other)) if one == other => one,
            (Some(_), Some(_)) => source,
        }
    }
}

/// Reads exactly `N` bytes.
async fn bytes<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map(|_| bytes)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn proxies(send_header: bool) -> TrustedProxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        TrustedProxies { networks: networks.into(), send_header }
    }

    /// The caller's address of a request from this peer with these headers.
    fn caller(peer: &str, headers: &[(&str, &str)]) -> String {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(pair) {
            map.append(name, value);
        }
        proxies(false).caller(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_callers() {
        for (list, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1, 10.1.1.1", "192.0.2.1"),
            ("198.51.100.9,192.0.2.1,10.1.1.1,fd00::7", "192.0.2.1"),
            ("10.1.1.1", "10.1.1.1"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, unknown", "10.0.0.1"),
            ("198.51.100.9, junk, 10.1.1.1", "10.1.1.1"),
            ("", "10.0.0.1"),
            ("192.0.2.1,", "10.0.0.1"),
        ] {
            assert_eq!(caller("10.0.0.1", &[("x-forwarded-for", list)]), expected, "{list}");
        }
        let lines = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "192.0.2.1, 10.1.1.1")];
        assert_eq!(caller("10.0.0.1", &lines), "192.0.2.1");
        assert_eq!(caller("::ffff:10.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn the_standard_header_says_the_same() {
        for (list, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.1", "2001:db8::1"),
            ("for=198.51.100.9, for=192.0.2.1;host=\"a,b;for=10.9.9.9\", for=10.1.1.1", "192.0.2.1"),
            ("for=198.51.100.9, proto=https", "10.0.0.1"),
            ("for=198.51.100.9, for=_hidden", "10.0.0.1"),
            ("for=198.51.100.9, for=\"unknown\"", "10.0.0.1"),
            ("for=192.0.2.1, for=\"10.1.1.1", "10.0.0.1"),
        ] {
            assert_eq!(caller("10.0.0.1", &[("forwarded", list)]), expected, "{list}");
        }
    }

    #[test]
    fn a_stranger_and_a_contradiction_say_nothing() {
        for peer in ["192.0.2.7", "2001:db8::7"] {
            assert_eq!(
                caller(peer, &[("x-forwarded-for", "198.51.100.9"), ("forwarded", "for=1.2.3.4")]),
                peer
            );
        }
        let both =
            |forwarded| caller("10.0.0.1", &[("x-forwarded-for", "192.0.2.1"), ("forwarded", forwarded)]);
        assert_eq!(both("for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("for=198.51.100.9"), "10.0.0.1");
        assert_eq!(caller("10.0.0.1", &[("x-real-ip", "198.51.100.9"), ("via", "192.0.2.1")]), "10.0.0.1");
    }

    #[tokio::test]
    async fn only_a_trusted_proxy_sends_a_header_before_all_else() {
        const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\nGET";
        let source = async |send_header, peer: &str| {
            let mut stream = HEADER;
            let source = proxies(send_header).source(peer.parse().unwrap(), &mut stream).await.unwrap();
            (source.to_string(), stream.len())
        };
        assert_eq!(source(true, "10.0.0.1").await, ("192.0.2.1".into(), 3));
        assert_eq!(source(true, "192.0.2.7").await, ("192.0.2.7".into(), HEADER.len()));
        assert_eq!(source(false, "10.0.0.1").await, ("10.0.0.1".into(), HEADER.len()));
    }
}
