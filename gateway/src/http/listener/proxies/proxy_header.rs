//! The header of the PROXY protocol, which a proxy sends at the start of a connection. Version 1 is a line of text,
//! version 2 is binary (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).
//!
//! Written by hand instead of taken from a library: the parser is short, has to stop exactly at the header's end, and
//! refuses headers that a TCP listener cannot receive.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::bytes;

/// The first bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of version 1.
const WORD: &[u8] = b"PROXY ";
/// Bytes of the longest line of version 1, with its line end.
const MAX_LINE_BYTES: usize = 107;
/// Maximum bytes of version 2 after its fixed part: addresses, and extensions such as a certificate, which are skipped.
const MAX_REST_BYTES: usize = 16 << 10;

/// The reason why a connection of a proxy is not served.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum ProxyHeaderError {
    /// The connection ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not a valid header.
    #[error("no valid header of the PROXY protocol: {0}")]
    Malformed(&'static str),
}

/// Reads a header up to its end. Returns the address of the proxy's caller. Returns `None` if the proxy opened the
/// connection for itself, for example for a health check, or if its caller has no IP address.
///
/// # Errors
/// [`ProxyHeaderError::Io`] if the connection ends, [`ProxyHeaderError::Malformed`] if the bytes are not a header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyHeaderError> {
    // Every header is longer than this.
    let start: [u8; SIGNATURE.len()] = bytes(stream).await?;
    if start == SIGNATURE {
        binary(stream).await
    } else if start.starts_with(WORD) {
        line(&start, stream).await
    } else {
        Err(ProxyHeaderError::Malformed("it begins with something else"))
    }
}

async fn binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyHeaderError> {
    let [command, family, high, low] = bytes(stream).await?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_REST_BYTES {
        return Err(ProxyHeaderError::Malformed("it is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        // LOCAL: the rest of the header is ignored.
        (0x20, _) => Ok(None),
        // PROXY over TCP and IPv4, or IPv6: the caller's address comes first, then the proxy's address and the ports.
        (0x21, 0x11) => address::<4, 12>(&rest).map(|address| Some(Ipv4Addr::from(address).into())),
        (0x21, 0x21) => {
            address::<16, 36>(&rest).map(|address| Some(IpAddr::from(Ipv6Addr::from(address)).to_canonical()))
        }
        // Unspecified, or a Unix socket.
        (0x21, 0x00 | 0x31) => Ok(None),
        (0x21, _) => Err(ProxyHeaderError::Malformed("the family of addresses is not one of TCP")),
        _ => Err(ProxyHeaderError::Malformed("the version or the command is not known")),
    }
}

/// The first `N` bytes of addresses that have `WHOLE` bytes in all.
fn address<const N: usize, const WHOLE: usize>(rest: &[u8]) -> Result<[u8; N], ProxyHeaderError> {
    let addresses = rest.first_chunk::<WHOLE>().and_then(|addresses| addresses.first_chunk());
    addresses.copied().ok_or(ProxyHeaderError::Malformed("the addresses are cut off"))
}

async fn line(
    start: &[u8],
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, ProxyHeaderError> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == MAX_LINE_BYTES {
            return Err(ProxyHeaderError::Malformed("its line has no end"));
        }
        line.push(stream.read_u8().await?);
    }
    let text = str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n")).unwrap_or_default();
    let fields: Vec<&str> = text.split(' ').collect();
    let caller = match fields[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", from, to, from_port, to_port] if are_ports([from_port, to_port]) => {
            pair::<Ipv4Addr>(from, to).map(IpAddr::from)
        }
        ["PROXY", "TCP6", from, to, from_port, to_port] if are_ports([from_port, to_port]) => {
            pair::<Ipv6Addr>(from, to).map(|address| IpAddr::from(address).to_canonical())
        }
        _ => None,
    };
    caller.map(Some).ok_or(ProxyHeaderError::Malformed("its line is not of the form"))
}

/// The first of two addresses of one family.
fn pair<A: FromStr>(from: &str, to: &str) -> Option<A> {
    to.parse::<A>().ok()?;
    from.parse().ok()
}

fn are_ports(texts: [&str; 2]) -> bool {
    texts.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of version 2.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    /// Returns the result of reading these bytes, and the number of bytes left.
    fn read_of(bytes: &[u8]) -> Result<(Option<String>, usize), ProxyHeaderError> {
        let mut stream = bytes;
        let read = futures_util::FutureExt::now_or_never(read(&mut stream)).expect("nothing to wait for")?;
        Ok((read.map(|address| address.to_string()), stream.len()))
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 9, 0x12, 0x67, 1, 0xbb];

    fn ipv6(address: &str) -> Vec<u8> {
        let address: Ipv6Addr = address.parse().unwrap();
        [&address.octets()[..], &[0; 16], &[0x12, 0x67, 1, 0xbb]].concat()
    }

    #[test]
    fn a_header_of_each_version_names_the_caller_and_what_follows_stays() {
        let forwarded = |address: &str| Some(address.to_owned());
        for (bytes, expected) in [
            (header(0x21, 0x11, &IPV4), forwarded("192.0.2.1")),
            (header(0x21, 0x11, &[&IPV4[..], &[4, 0, 3, 1, 2, 3]].concat()), forwarded("192.0.2.1")),
            (header(0x21, 0x21, &ipv6("2001:db8::1")), forwarded("2001:db8::1")),
            (header(0x21, 0x21, &ipv6("::ffff:192.0.2.1")), forwarded("192.0.2.1")),
            (header(0x20, 0x00, &[]), None),
            (header(0x20, 0x11, &IPV4), None),
            (header(0x21, 0x00, &[1, 2, 3]), None),
            (header(0x21, 0x31, &[0; 216]), None),
            (b"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\n".to_vec(), forwarded("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n".to_vec(), forwarded("2001:db8::1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN 2001:db8::1 whatever\r\n".to_vec(), None),
        ] {
            let whole = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read_of(&whole).unwrap(), (expected, 16), "{bytes:?}");
            for cut in [0, 1, 11, 12, 13, bytes.len() - 1] {
                assert!(matches!(read_of(&bytes[..cut.min(bytes.len() - 1)]), Err(ProxyHeaderError::Io(_))));
            }
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let line = |text: &str| format!("{text}\r\n{}", "x".repeat(200)).into_bytes();
        for wrong in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
            header(0x22, 0x11, &IPV4),
            header(0x11, 0x11, &IPV4),
            header(0x21, 0x12, &IPV4),
            header(0x21, 0x22, &ipv6("::1")),
            header(0x21, 0x44, &IPV4),
            header(0x21, 0x11, &IPV4[..11]),
            header(0x21, 0x21, &IPV4),
            header(0x21, 0x11, &vec![0; MAX_REST_BYTES + 1]),
            line("PROXY TCP4 192.0.2.1 10.0.0.9 4711"),
            line("PROXY TCP4 192.0.2.1 10.0.0.9 4711 443 1"),
            line("PROXY TCP4 192.0.2.1  10.0.0.9 4711 443"),
            line("PROXY TCP4 2001:db8::1 ::1 4711 443"),
            line("PROXY TCP6 192.0.2.1 10.0.0.9 4711 443"),
            line("PROXY TCP4 192.0.2.1 10.0.0.9 4711 65536"),
            line("PROXY TCP4 192.0.2.1 10.0.0.9 +471 443"),
            line("PROXY TCP4 host 10.0.0.9 4711 443"),
            line("PROXY UDP4 192.0.2.1 10.0.0.9 4711 443"),
            line("PROXY  TCP4 192.0.2.1 10.0.0.9 4711 443"),
            b"PROXY UNKNOWN ".iter().copied().chain([b'x'; 200]).collect(),
        ] {
            let read = read_of(&wrong);
            assert!(matches!(read, Err(ProxyHeaderError::Malformed(_))), "{wrong:?}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes: Vec<u8>, version in 0..3) {
            let start: &[u8] = match version { 0 => b"", 1 => WORD, _ => &SIGNATURE };
            let _ = read_of(&[start, &bytes].concat());
        }
    }
}
