//! The headers that describe a request's body: its length, media type and coding.

use http::{HeaderMap, header};

use crate::fault::Fault;

/// Maximum characters of a multipart boundary (RFC 2046).
const MAX_BOUNDARY_CHARS: usize = 70;

/// The body's length in bytes, where the caller sends it.
pub(in crate::http) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the headers announce JSON.
pub(in crate::http) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

/// Whether the headers announce gRPC with messages of protocol buffers.
pub(in crate::http) fn is_grpc(headers: &HeaderMap) -> bool {
    let known = ["application/grpc", "application/grpc+proto"];
    known.iter().any(|known| media_type(headers).eq_ignore_ascii_case(known))
}

/// The media type without its parameters; empty where there is none.
fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Checks that the headers announce JSON without a content coding.
///
/// # Errors
/// [`Fault::Invalid`] for another media type, and for a coded body.
pub(in crate::http) fn require_json(headers: &HeaderMap) -> Result<(), Fault> {
    require_identity(headers)?;
    if is_json(headers) {
        Ok(())
    } else {
        Err(Fault::Invalid("Content-Type must be application/json".into()))
    }
}

fn require_identity(headers: &HeaderMap) -> Result<(), Fault> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Fault::Invalid("Content-Encoding is not supported: send the body as it is".into()))
        }
        _ => Ok(()),
    }
}

/// The boundary of a `multipart/form-data` or `multipart/mixed` body.
///
/// # Errors
/// [`Fault::Invalid`] for another media type, a missing or wrong boundary, and for a coded body.
pub(in crate::http) fn boundary(headers: &HeaderMap) -> Result<String, Fault> {
    let expected = || Fault::Invalid("Content-Type must be multipart/form-data or multipart/mixed".into());
    require_identity(headers)?;
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(expected());
    };
    let value = value.to_str().map_err(|_| expected())?;
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    let kind = kind.trim();
    if !["multipart/form-data", "multipart/mixed"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Err(expected());
    }
    parameter(parameters, "boundary")
        .filter(|boundary| (1..=MAX_BOUNDARY_CHARS).contains(&boundary.len()))
        .ok_or_else(|| {
            Fault::Invalid(format!("Content-Type needs a boundary of 1 to {MAX_BOUNDARY_CHARS} characters"))
        })
}

/// The value of a parameter in `a=b; c="d"`; `None` unless it occurs exactly once and is well formed.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    let mut found = None;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        if rest.is_empty() {
            return found;
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_string(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
        rest = after;
    }
}

/// The content of a quoted string after its opening quote, and the text after the closing one.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(content_type: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).ok()?);
        boundary(&headers).ok()
    }

    #[test]
    fn both_kinds_of_multipart_are_taken() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("multipart/mixed; boundary=abc", "abc"),
            ("Multipart/Mixed;charset=utf-8;BOUNDARY=abc", "abc"),
            ("multipart/mixed; boundary=\"a b;c\"; type=\"x\"", "a b;c"),
            ("multipart/form-data; x=\"a\\\"; boundary=no\"; boundary=--yes", "--yes"),
            ("multipart/form-data; boundary=abc; ", "abc"),
        ] {
            assert_eq!(parse(content_type).as_deref(), Some(expected), "{content_type}");
        }
    }

    #[test]
    fn other_types_and_missing_boundaries_are_refused() {
        for content_type in [
            "application/json",
            "multipart/related; boundary=a",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"open",
            "multipart/form-data; boundary=a; boundary=b",
            &format!("multipart/form-data; boundary={}", "a".repeat(71)),
        ] {
            assert_eq!(parse(content_type), None, "{content_type}");
        }
        assert!(boundary(&HeaderMap::new()).is_err());
    }

    #[test]
    fn only_messages_of_protocol_buffers_are_taken() {
        let kind =
            |value| is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert!(kind("application/grpc") && kind("application/grpc+proto") && kind("Application/gRPC; x=y"));
        assert!(!kind("application/json") && !kind("application/grpc-web") && !kind("application/grpc+json"));
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn two_types_and_compressed_bodies_are_refused() {
        let multipart = HeaderValue::from_static("multipart/mixed; boundary=a");
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_TYPE, multipart.clone());
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("Identity"));
        assert_eq!(boundary(&headers).unwrap(), "a");
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(boundary(&headers).unwrap_err().to_string().starts_with("Content-Encoding"));
        headers.remove(header::CONTENT_ENCODING);
        headers.append(header::CONTENT_TYPE, multipart);
        assert!(boundary(&headers).unwrap_err().to_string().starts_with("Content-Type"));
    }

    proptest! {
        #[test]
        fn any_boundary_comes_back_from_its_quotes(boundary in "[ -~]{0,69}[!-~]") {
            let quoted = boundary.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = parse(&format!("multipart/mixed; a=b; boundary=\"{quoted}\""));
            prop_assert_eq!(parsed, Some(boundary));
        }

        #[test]
        fn arbitrary_headers_do_no_harm(text in "[ -~]{0,200}") {
            let _ = parse(&format!("multipart/mixed;{text}"));
        }
    }
}
