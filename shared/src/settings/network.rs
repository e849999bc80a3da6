//! Networks of addresses, as settings name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, de};

/// A network in CIDR notation: `10.0.0.0/8`, `fd00::/8`, or a single address. Unlike [`IpNet`], it may be written without a
/// prefix, and IPv4 addresses in their IPv6 form (`::ffff:10.0.0.7`) belong to IPv4 networks.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Network(IpNet);

/// The text is not a network.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no network; expected an address, as in 10.0.0.7, or a network, as in 10.0.0.0/8 or fd00::/8"
)]
pub struct NoNetwork(String);

impl Network {
    /// The IPv4 network of the first `prefix` bits of `a.b.c.d`.
    ///
    /// # Panics
    /// `prefix` is above 32; in a constant this is an error of the compiler.
    #[must_use]
    pub const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)))
    }

    /// The IPv6 network of the first `prefix` bits of `first:second::`.
    ///
    /// # Panics
    /// `prefix` is above 128; in a constant this is an error of the compiler.
    #[must_use]
    pub const fn v6(first: u16, second: u16, prefix: u8) -> Self {
        Self(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)))
    }

    /// Whether an address belongs to this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split_once('/') {
            Some((address, prefix)) => address
                .parse()
                .ok()
                .zip(prefix.parse().ok())
                .and_then(|(address, prefix)| IpNet::new(address, prefix).ok()),
            None => text.parse::<IpAddr>().ok().map(IpNet::from),
        };
        parsed.map(Self).ok_or_else(|| NoNetwork(text.to_owned()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_networks_that_begin_as_it_does() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "ffff::1", true),
            ("::/0", "10.0.0.1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fc00::1", false),
            ("::1", "::1", true),
            ("::1", "::", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["", "10", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/", "host", "fe80::1%eth0"] {
            let said = wrong.parse::<Network>().unwrap_err().to_string();
            assert!(said.contains(&format!("`{wrong}`")), "{said}");
        }
    }
}
