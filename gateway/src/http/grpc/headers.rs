//! Headers of gRPC: how messages are compressed.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::fault::Fault;
use crate::http::intake::content_type;

/// The compression that the messages of this request or answer may have.
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The compressions that the sender can read.
pub(in crate::http) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The compressions that this service can read.
pub(in crate::http) const SUPPORTED_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");
/// The compression that this service writes.
pub(super) const GZIP: &str = "gzip";

/// Checks that a request is gRPC, and that its messages are uncompressed or compressed with gzip.
///
/// # Errors
/// [`Fault::Invalid`] for another content type, [`Fault::NotImplemented`] for another compression.
pub(in crate::http) fn require_grpc(headers: &HeaderMap) -> Result<(), Fault> {
    if !content_type::is_grpc(headers) {
        return Err(Fault::Invalid("Content-Type must be application/grpc".into()));
    }
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"gzip") => Ok(()),
        Some(_) => Err(Fault::NotImplemented("Messages may be compressed with gzip only.".into())),
    }
}

/// Whether the messages of a request may be compressed.
pub(in crate::http) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(ENCODING).is_some_and(|encoding| encoding == GZIP)
}

/// Whether the caller can read compressed messages.
pub(in crate::http) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|encoding| encoding.trim() == GZIP)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn an_unknown_compression_is_not_implemented() {
        let mut headers = with(header::CONTENT_TYPE, "application/grpc");
        assert!(require_grpc(&headers).is_ok() && !is_compressed(&headers));
        for (value, is_known) in [("identity", true), ("gzip", true), ("br", false), ("GZIP,", false)] {
            headers.insert(ENCODING, HeaderValue::from_static(value));
            assert_eq!(require_grpc(&headers).is_ok(), is_known, "{value}");
        }
        headers.insert(ENCODING, HeaderValue::from_static("zstd"));
        assert_eq!(require_grpc(&headers).unwrap_err().row().grpc as u8, 12);
    }

    #[test]
    fn a_caller_says_what_it_reads() {
        for (value, expected) in [("gzip", true), ("identity, deflate,gzip", true), ("identity", false)] {
            assert_eq!(accepts_gzip(&with(ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
