//! The SSRF guard's rule: which addresses the gateway may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use faceline_shared::settings::HostPattern;
use faceline_shared::settings::Network;
use url::Url;

/// Private networks: RFC 1918, 6598 (carrier-grade NAT) and 4193 (unique local addresses).
const PRIVATE: [Network; 5] = [
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(100, 64, 0, 0, 10),
    Network::v6(0xfc00, 0, 7),
];

/// Special-purpose networks of IANA's registries (RFC 6890) that contain no ordinary host of the Internet.
const SPECIAL: [Network; 17] = [
    // "This network".
    Network::v4(0, 0, 0, 0, 8),
    // Loopback.
    Network::v4(127, 0, 0, 0, 8),
    // Link-local, which contains the metadata services of clouds.
    Network::v4(169, 254, 0, 0, 16),
    // Protocol assignments.
    Network::v4(192, 0, 0, 0, 24),
    // Documentation.
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    // 6to4 relays.
    Network::v4(192, 88, 99, 0, 24),
    // Benchmarking.
    Network::v4(198, 18, 0, 0, 15),
    // Multicast.
    Network::v4(224, 0, 0, 0, 4),
    // Reserved, including the broadcast address.
    Network::v4(240, 0, 0, 0, 4),
    // Protocol assignments, including Teredo, benchmarking and ORCHID.
    Network::v6(0x2001, 0, 23),
    // Documentation.
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x3fff, 0, 20),
    // 6to4.
    Network::v6(0x2002, 0, 16),
    // AS112, whose servers answer reverse lookups of private addresses.
    Network::v6(0x2620, 0x4f, 32),
    Network::v4(192, 31, 196, 0, 24),
];

/// The global unicast addresses of IPv6 that IANA assigns. Every IPv6 address outside is special.
const GLOBAL_UNICAST: Network = Network::v6(0x2000, 0, 3);

/// Addresses of clouds' metadata services that are not link-local. These services hand out credentials.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Decides which addresses the gateway may connect to for a URL: public ones, and configured exceptions.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    private_hosts: Vec<HostPattern>,
    allowed_networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AddressScope {
    /// An ordinary address of the Internet.
    Public,
    /// An address of an organisation's own network.
    Private,
    /// Any other address, such as loopback, link-local or multicast. A caller may never name it.
    Special,
}

impl AddressGuard {
    /// Allows public addresses, private addresses for `private_hosts`, and every address of `allowed_networks` for any
    /// host.
    #[must_use]
    pub fn new(private_hosts: Vec<HostPattern>, allowed_networks: Vec<Network>) -> Self {
        Self { private_hosts, allowed_networks }
    }

    /// Whether the gateway may connect to `address` for `url`.
    #[must_use]
    pub fn allows(&self, url: &Url, address: IpAddr) -> bool {
        if self.allowed_networks.iter().any(|network| network.contains(address)) {
            return true;
        }
        match scope(address) {
            AddressScope::Public => true,
            AddressScope::Private => self.private_hosts.iter().any(|host| host.matches(url)),
            AddressScope::Special => false,
        }
    }
}

fn scope(address: IpAddr) -> AddressScope {
    let address = translated(address);
    let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    if METADATA.contains(&address) || is_in(&SPECIAL) {
        AddressScope::Special
    } else if is_in(&PRIVATE) {
        AddressScope::Private
    } else if address.is_ipv6() && !GLOBAL_UNICAST.contains(address) {
        AddressScope::Special
    } else {
        AddressScope::Public
    }
}

/// Maps an IPv6 address that represents an IPv4 address to that one: IPv4-mapped (RFC 4291, 2.5.5.2) and NAT64 (RFC
/// 6052, 2.1). Returns any other address unchanged.
fn translated(address: IpAddr) -> IpAddr {
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

    fn scope_of(address: &str) -> AddressScope {
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
            assert_eq!(scope_of(address), AddressScope::Public, "{address}");
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
            assert_eq!(scope_of(address), AddressScope::Private, "{address}");
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
            // IPv4-compatible, IPv4-mapped, IPv4-translated.
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
            assert_eq!(scope_of(address), AddressScope::Special, "{address}");
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
