//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use faceline_shared::settings::HostPattern;
use faceline_shared::settings::Network;
use url::Url;

/// Addresses of an organisation's own: RFC 1918, 6598 and 4193.
const PRIVATE: [Network; 5] = [
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(100, 64, 0, 0, 10),
    Network::v6(0xfc00, 0, 7),
];

/// Whatever else is not an ordinary host of the Internet, by the registries of IANA (RFC 6890).
const SPECIAL: [Network; 17] = [
    // This network.
    Network::v4(0, 0, 0, 0, 8),
    // Loopback.
    Network::v4(127, 0, 0, 0, 8),
    // Link-local, where clouds keep their metadata.
    Network::v4(169, 254, 0, 0, 16),
    // Protocol assignments.
    Network::v4(192, 0, 0, 0, 24),
    // Documentation.
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    // Relays of 6to4.
    Network::v4(192, 88, 99, 0, 24),
    // Benchmarks.
    Network::v4(198, 18, 0, 0, 15),
    // Multicast.
    Network::v4(224, 0, 0, 0, 4),
    // Reserved, with the broadcast address.
    Network::v4(240, 0, 0, 0, 4),
    // Protocol assignments, with Teredo, benchmarks and ORCHID.
    Network::v6(0x2001, 0, 23),
    // Documentation.
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x3fff, 0, 20),
    // 6to4.
    Network::v6(0x2002, 0, 16),
    // AS112, which answers for private addresses.
    Network::v6(0x2620, 0x4f, 32),
    Network::v4(192, 31, 196, 0, 24),
];

/// All unicast addresses of IPv6 that are given out; what is not in it is special.
const GLOBAL_UNICAST: Network = Network::v6(0x2000, 0, 3);

/// Addresses of clouds' metadata that are not link-local. They give credentials away.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Says which addresses may be called for a URL: those of the Internet, and explicit exceptions.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    private_hosts: Vec<HostPattern>,
    allowed_networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// Of the Internet.
    Public,
    /// Of an organisation.
    Private,
    /// Of nobody whom a caller may name.
    Special,
}

impl AddressGuard {
    /// Besides the Internet, `private_hosts` may have private addresses, and every host those of `allowed_networks`,
    /// whatever they are.
    #[must_use]
    pub fn new(private_hosts: Vec<HostPattern>, allowed_networks: Vec<Network>) -> Self {
        Self { private_hosts, allowed_networks }
    }

    /// Whether `address`, which the host of `url` has, may be called.
    #[must_use]
    pub fn allows(&self, url: &Url, address: IpAddr) -> bool {
        if self.allowed_networks.iter().any(|network| network.contains(address)) {
            return true;
        }
        match scope(address) {
            Scope::Public => true,
            Scope::Private => self.private_hosts.iter().any(|host| host.matches(url)),
            Scope::Special => false,
        }
    }
}

fn scope(address: IpAddr) -> Scope {
    let address = meant(address);
    let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    if METADATA.contains(&address) || is_in(&SPECIAL) {
        Scope::Special
    } else if is_in(&PRIVATE) {
        Scope::Private
    } else if address.is_ipv6() && !GLOBAL_UNICAST.contains(address) {
        Scope::Special
    } else {
        Scope::Public
    }
}

/// The address of IPv4 that one of IPv6 stands for, where a network translates it (RFC 4291, 2.5.5.2; RFC 6052, 2.1), or
/// the address itself.
fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
            }
            _ => v6.into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope_of(address: &str) -> Scope {
        scope(address.parse().unwrap())
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:2800:220:1:248:1893:25c8:1946",
            "2001:4860:4860::8888",
            "2a00:1450:4001::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert_eq!(scope_of(address), Scope::Public, "{address}");
        }
    }

    #[test]
    fn addresses_of_an_organisation_are_private() {
        for address in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.168.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::1",
            "fdff:ffff::1",
            "::ffff:10.0.0.1",
            "::ffff:192.168.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::192.168.0.1",
        ] {
            assert_eq!(scope_of(address), Scope::Private, "{address}");
        }
    }

    #[test]
    fn everything_else_is_special() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "::",
            "::1",
            // Compatible with IPv4, mapped, translated.
            "::127.0.0.1",
            "::10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::10.0.0.1",
            // 6to4 of 127.0.0.1 and of 1.1.1.1, Teredo.
            "2002:7f00:1::",
            "2002:101:101::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert_eq!(scope_of(address), Scope::Special, "{address}");
        }
    }

    #[test]
    fn exceptions_are_by_host_for_private_addresses_and_by_network_for_all() {
        let guard =
            AddressGuard::new(vec!["minio.internal".parse().unwrap()], vec!["127.0.0.0/8".parse().unwrap()]);
        let allows =
            |url: &str, address: &str| guard.allows(&Url::parse(url).unwrap(), address.parse().unwrap());
        assert!(allows("http://pictures.example", "1.1.1.1"));
        assert!(!allows("http://pictures.example", "10.0.0.1"));
        assert!(allows("http://minio.internal", "10.0.0.1") && allows("http://minio.internal", "fd12::1"));
        for never in ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::1", "224.0.0.1"] {
            assert!(!allows("http://minio.internal", never), "{never}");
        }
        assert!(allows("http://pictures.example", "127.0.0.1"));
        assert!(allows("http://pictures.example", "::ffff:127.0.0.1"));
    }
}
