//! The headers in which proxies state their callers' addresses: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The hops of a request, the farthest first. A hop without an address (`unknown`, obfuscated or malformed) is `None`.
type Hops = Vec<Option<IpAddr>>;

/// The hops that `X-Forwarded-For` lists. `None` without this header.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> Option<Hops> {
    Some(list(headers, &X_FORWARDED_FOR)?.split(',').map(address).collect())
}

/// The hops that `Forwarded` lists. `None` without this header. A malformed list counts as one hop without an address.
pub(super) fn forwarded(headers: &HeaderMap) -> Option<Hops> {
    Some(elements(&list(headers, &header::FORWARDED)?).unwrap_or_else(|| vec![None]))
}

/// The values of all headers of this name as one list (RFC 9110, 5.3).
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The hops of a list of elements `name=value;…`, in which a value may be quoted.
fn elements(list: &str) -> Option<Hops> {
    let mut hops = vec![None];
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        let name = name.trim();
        if name.is_empty() || name.contains([',', ';', '"']) {
            return None;
        }
        if name.eq_ignore_ascii_case("for")
            && let Some(hop) = hops.last_mut()
        {
            *hop = address(&value);
        }
        rest = after.trim_start();
        rest = match rest.as_bytes().first() {
            None => rest,
            Some(b';') => rest[1..].trim_start(),
            Some(b',') => {
                hops.push(None);
                rest[1..].trim_start()
            }
            Some(_) => return None,
        };
    }
    Some(hops)
}

/// Splits a text into the value at its beginning, which is a token or a quoted string, and the rest.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The address in a text that may have a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // RFC 7239 allows a port that is hidden behind a name.
    let is_port = |port: &str| port.parse::<u16>().is_ok() || port.starts_with('_');
    let parsed = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, after) = bracketed.split_once(']')?;
        let is_end = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        address.parse::<Ipv6Addr>().ok().filter(|_| is_end).map(IpAddr::from)
    } else if let Ok(address) = text.parse() {
        Some(address)
    } else {
        let (address, port) = text.split_once(':')?;
        address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::from)
    };
    parsed.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_may_have_a_port_and_nothing_else() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1:65535 ", Some("192.0.2.1")),
            ("192.0.2.1:_port", Some("192.0.2.1")),
            ("[::1]:_x", Some("::1")),
            ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
            ("192.0.2.1:", None),
            ("192.0.2.1:65536", None),
            ("192.0.2.1:1:2", None),
            ("[192.0.2.1]", None),
            ("[::1", None),
            ("[::1]80", None),
            ("fe80::1%eth0", None),
            ("host", None),
            ("_hidden", None),
            ("", None),
        ] {
            assert_eq!(address(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_tells_nothing() {
        for wrong in
            ["for", "for=\"1.2.3.4", "=1.2.3.4", "for=1.2.3.4 by", "for=\"1.2.3.4\"x", "a,for=1.2.3.4"]
        {
            assert_eq!(elements(wrong), None, "{wrong}");
        }
        assert_eq!(elements("for=\"1\\.2.3.4\"").unwrap(), [Some("1.2.3.4".parse().unwrap())]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_an_appended_hop_is_the_last(text in "\\PC{0,60}") {
            for list in [elements(&text), elements(&format!("{text},"))] {
                prop_assert!(list.is_none_or(|hops| hops.len() <= text.len() + 2));
            }
            // A proxy appends its caller's address to any text. The list then ends with that address, or is malformed.
            let appended = elements(&format!("{text}, for=192.0.2.1"));
            let last = appended.map(|hops| hops.last().copied().flatten());
            prop_assert!(matches!(last, None | Some(Some(_))) , "{last:?}");
            prop_assert_eq!(last.flatten().unwrap_or_else(|| "192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
        }
    }
}
