//! Hosts that the service may call, as `url_input.hosts` names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

/// A host (`pictures.example`), or all hosts below one (`*.pictures.example`), optionally with a port
/// (`pictures.example:8443`). Without one, only the default port of the URL's scheme matches.
#[derive(Clone, Eq, PartialEq)]
pub struct HostPattern {
    host: Host<String>,
    /// Whether all hosts below `host` match, but not `host` itself.
    below: bool,
    port: Option<u16>,
}

/// The text is not a host.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no host; expected one as in pictures.example, pictures.example:8443 or *.pictures.example")]
pub struct NoHost(String);

impl HostPattern {
    /// Whether a URL leads to a host and a port of this pattern.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        let is_port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            // The URL parser leaves out the default port of the scheme.
            None => url.port().is_none(),
        };
        is_port && url.host().is_some_and(|host| self.is_host(&host))
    }

    fn is_host(&self, host: &Host<&str>) -> bool {
        match (&self.host, host) {
            (Host::Domain(own), Host::Domain(other)) if self.below => {
                other.strip_suffix(own.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Host::Domain(own), Host::Domain(other)) => own == other,
            (Host::Ipv4(own), Host::Ipv4(other)) => own == other,
            (Host::Ipv6(own), Host::Ipv6(other)) => own == other,
            _ => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoHost(text.to_owned());
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (host, port) = match rest.rsplit_once(':') {
            // A colon within brackets is part of an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (rest, None),
        };
        let host = Host::parse(host).map_err(|_| wrong())?;
        let is_name = matches!(&host, Host::Domain(name) if !name.contains('*') && !name.starts_with('.'));
        // A wildcard makes no sense in front of an address.
        if port == Some(0) || matches!(host, Host::Domain(_)) != is_name || (below && !is_name) {
            return Err(wrong());
        }
        Ok(Self { host, below, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(formatter, "{star}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for HostPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        pattern.parse::<HostPattern>().unwrap().matches(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_itself_and_no_other() {
        assert!(matches("example.com", "https://example.com/a.jpg"));
        assert!(matches("EXAMPLE.com", "http://Example.COM"));
        assert!(matches("bücher.example", "https://xn--bcher-kva.example/"));
        for other in [
            "https://evilexample.com/",
            "https://example.com.evil/",
            "https://www.example.com/",
            "https://example.com./",
            "https://evil/example.com",
            "https://example.com@evil/",
            "https://evil\\@example.com/",
            "https://evil#example.com",
            "https://evil?example.com",
        ] {
            assert!(!matches("example.com", other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_all_hosts_below() {
        assert!(matches("*.example.com", "https://a.example.com/"));
        assert!(matches("*.example.com", "https://a.b.example.com/"));
        for other in ["https://example.com/", "https://evilexample.com/", "https://a.example.com.evil/"] {
            assert!(!matches("*.example.com", other), "{other}");
        }
    }

    #[test]
    fn the_port_is_the_one_that_is_named_or_the_schemes_own() {
        assert!(matches("example.com", "http://example.com:80/"));
        assert!(matches("example.com", "https://example.com:443/"));
        assert!(!matches("example.com", "https://example.com:8443/"));
        assert!(!matches("example.com", "http://example.com:443/"));
        assert!(matches("example.com:8443", "https://example.com:8443/"));
        assert!(!matches("example.com:8443", "https://example.com/"));
        assert!(matches("example.com:443", "https://example.com/"));
        assert!(matches("*.example.com:8443", "http://a.example.com:8443/"));
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/"] {
            assert!(matches("127.0.0.1", url), "{url}");
        }
        assert!(matches("[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"));
        assert!(matches("[::1]", "http://[::1]/"));
        assert!(!matches("*.0.0.example", "http://127.0.0.1/"));
    }

    #[test]
    fn what_is_no_host_is_named() {
        for wrong in [
            "",
            "*",
            "*.",
            "*.*",
            "a.*.b",
            "https://example.com",
            "example.com:0",
            "example.com:x",
            "*.10.0.0.1",
        ] {
            let said = wrong.parse::<HostPattern>().unwrap_err().to_string();
            assert!(said.contains(&format!("`{wrong}`")), "{said}");
        }
        for text in ["example.com", "*.example.com:8443", "[::1]:80"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }
}
