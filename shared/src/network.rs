//! Networks of addresses, as settings name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// A network in the notation of CIDR: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that all its addresses have in common.
    prefix: u8,
}

/// A text is no network.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no network; expected an address, as in 10.0.0.7, or a network, as in 10.0.0.0/8 or fd00::/8"
)]
pub struct NoNetwork(String);

impl Network {
    /// The network of the first `prefix` bits of an IPv4 address.
    #[must_use]
    pub const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// The network of the first `prefix` bits of an IPv6 address, of which two groups are given.
    #[must_use]
    pub const fn v6(first: u16, second: u16, prefix: u8) -> Self {
        Self { address: IpAddr::V6(std::net::Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether an address is of this network. An IPv4 address written as one of IPv6 (`::ffff:10.0.0.7`) is what it
    /// stands for.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (differs, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits() ^ other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits(), 128),
            _ => return false,
        };
        differs.checked_shr(width - u32::from(self.prefix)).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoNetwork(text.to_owned());
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(left, right)| (left, Some(right)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if prefix > width {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
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
