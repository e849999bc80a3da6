//! Reads the JSON body: the session id, and the picture as base64 or as a URL.

use bytes::Bytes;
use serde::Deserialize;

use super::member::Member;
use crate::families::form::MAX_VALUE_BYTES;
use crate::families::json;
use crate::fault::Fault;

/// Name of the member with the picture.
const PICTURE: &str = "faceImageBase";
/// Maximum length of a URL scheme, in bytes, that is searched for.
const MAX_SCHEME_BYTES: usize = 32;
/// Maximum length of a URL, in bytes.
const MAX_URL_BYTES: usize = 8 << 10;

/// A body that was read.
#[derive(Debug, PartialEq)]
pub(super) struct LivenessRequest {
    pub(super) session_id: Option<String>,
    /// The picture, or the error of its member.
    pub(super) source: Result<PictureSource, Fault>,
}

/// The source of the picture.
#[derive(Debug, PartialEq)]
pub(super) enum PictureSource {
    /// The body contains the file.
    Picture(Bytes),
    /// The gateway has to fetch the file from this URL.
    Url(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    session_id: Member<'a>,
    #[serde(borrow, default)]
    face_image_base: Member<'a>,
}

impl LivenessRequest {
    /// Reads a body whose picture has at most `limit` bytes.
    pub(super) fn read(body: &[u8], limit: usize) -> Result<Self, Fault> {
        // serde would accept an array with both members in order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Fault::Invalid("the body is no JSON object".into()));
        }
        let Body { session_id, face_image_base } = serde_json::from_slice(body).map_err(|error| {
            Fault::Invalid(format!("the body is no JSON object: {}", json::place(&error)))
        })?;
        let session_id = match session_id {
            Member::Absent => None,
            Member::Text(text) if text.len() <= MAX_VALUE_BYTES => Some(text.into_owned()),
            Member::Text(_) => {
                return Err(Fault::Invalid(format!("`sessionId` is longer than {MAX_VALUE_BYTES} bytes")));
            }
            Member::Other => return Err(Fault::Invalid("`sessionId` is not a text".into())),
        };
        let source = match face_image_base {
            Member::Absent => Err(invalid("is missing")),
            Member::Text(text) => PictureSource::read(&text, limit),
            Member::Other => Err(invalid("is not a text")),
        };
        Ok(Self { session_id, source })
    }
}

impl PictureSource {
    fn read(text: &str, limit: usize) -> Result<Self, Fault> {
        let text = text.trim();
        // Base64 has no colon, so a text that begins with a scheme is a URL: a data URL or one to fetch.
        let scheme = text.bytes().take(MAX_SCHEME_BYTES).position(|byte| byte == b':').map(|at| &text[..at]);
        match scheme {
            None => decode(text, limit).map(Self::Picture),
            Some(scheme) if scheme.eq_ignore_ascii_case("data") => {
                let (about, content) = text.split_once(',').unwrap_or_default();
                let is_base64 = about
                    .rsplit_once(';')
                    .is_some_and(|(_, last)| last.trim().eq_ignore_ascii_case("base64"));
                if !is_base64 {
                    return Err(invalid("is a data URL without base64"));
                }
                decode(content, limit).map(Self::Picture)
            }
            Some(_) if text.len() > MAX_URL_BYTES => {
                Err(invalid(&format!("is a URL of more than {MAX_URL_BYTES} bytes")))
            }
            Some(_) => Ok(Self::Url(text.to_owned())),
        }
    }
}

/// Decodes base64 (RFC 4648, section 4 or 5), with white space anywhere, with or without padding.
fn decode(text: &str, limit: usize) -> Result<Bytes, Fault> {
    let wrong = || invalid("is neither base64 nor a URL");
    let [mut is_standard, mut is_url_safe] = [false; 2];
    for byte in text.bytes() {
        is_standard |= matches!(byte, b'+' | b'/');
        is_url_safe |= matches!(byte, b'-' | b'_');
    }
    let decoded = match (is_standard, is_url_safe) {
        (true, true) => return Err(wrong()),
        (false, true) => {
            let standard: Vec<u8> = text.bytes().map(to_standard).collect();
            base64_simd::forgiving_decode_to_vec(&standard)
        }
        (_, false) => base64_simd::forgiving_decode_to_vec(text.as_bytes()),
    };
    let picture = decoded.map_err(|_| wrong())?;
    if picture.is_empty() {
        return Err(invalid("is empty"));
    }
    if picture.len() > limit {
        return Err(too_large(limit));
    }
    Ok(picture.into())
}

/// Maps the URL-safe alphabet to the standard one.
fn to_standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// The refusal of the member with the picture. `what` completes the sentence that begins with the member's name.
pub(super) fn invalid(what: &str) -> Fault {
    Fault::Invalid(format!("`{PICTURE}` {what}"))
}

/// The refusal of a picture of more than `limit` bytes, from the body or a URL.
pub(super) fn too_large(limit: usize) -> Fault {
    Fault::TooLarge { limit, place: format!(" in `{PICTURE}`") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn source(text: &str) -> Result<PictureSource, Fault> {
        LivenessRequest::read(json!({ PICTURE: text }).to_string().as_bytes(), 100).unwrap().source
    }

    fn picture(text: &str) -> Option<Vec<u8>> {
        match source(text).ok()? {
            PictureSource::Picture(picture) => Some(picture.into()),
            PictureSource::Url(url) => panic!("{url}"),
        }
    }

    #[test]
    fn base64_is_taken_as_clients_write_it() {
        // Both alphabets, with and without padding, broken into lines, and as a data URL.
        let bytes = [0xfb, 0xef, 0xff, 0x00];
        for text in [
            "++//AA==",
            "++//AA",
            "--__AA==",
            "--__AA",
            "++/\r\n/AA=\n=",
            " ++//AA== ",
            "data:image/jpeg;base64,++//AA==",
            "data:image/png;name=a.png;base64,--__AA",
            "DATA:;BASE64,++//AA==",
            "data:image/jpeg;base64, ++//\nAA==",
        ] {
            assert_eq!(picture(text).as_deref(), Some(&bytes[..]), "{text}");
        }
    }

    #[test]
    fn what_is_no_picture_is_no_request() {
        for text in [
            "",
            "  ",
            "a",
            "=",
            "++__",
            "päckchen",
            "//pictures.example/a.jpg",
            "data:image/jpeg,++//AA==",
            "data:image/jpeg;base64",
            "data:image/jpeg;base64,",
            "data:image/jpeg;base64,%%%%",
        ] {
            let fault = source(text).unwrap_err();
            assert!(matches!(&fault, Fault::Invalid(what) if what.contains(PICTURE)), "{text}: {fault:?}");
        }
    }

    #[test]
    fn what_has_a_scheme_is_a_url() {
        for text in ["http://a.example/b.jpg", "HTTPS://a.example", "ftp://a", "file:/etc/passwd", "gopher:x"]
        {
            assert_eq!(source(text), Ok(PictureSource::Url(text.to_owned())));
        }
        assert!(source(&format!("http://a.example/{}", "x".repeat(MAX_URL_BYTES))).is_err());
    }

    #[test]
    fn a_picture_is_as_long_as_it_may_be() {
        let of = |length| source(&base64_simd::STANDARD.encode_to_string(vec![7; length]));
        assert!(of(100).is_ok());
        assert!(matches!(of(101), Err(Fault::TooLarge { limit: 100, .. })));
    }

    #[test]
    fn a_session_is_kept_whatever_is_wrong_with_the_picture() {
        for picture in ["7", "[[1],{}]", "{\"a\":[]}", "null", "true", "-1", "0.5", "\"%\""] {
            let body = format!(r#"{{"faceImageBase":{picture},"other":{{}},"sessionId":"a\u00e9\n"}}"#);
            let request = LivenessRequest::read(body.as_bytes(), 100).unwrap();
            assert_eq!(request.session_id.as_deref(), Some("aé\n"), "{picture}");
            assert!(request.source.is_err(), "{picture}");
        }
        let bare = LivenessRequest::read(br#"{"faceImageBase":"AAAA","sessionId":null}"#, 100).unwrap();
        assert_eq!((bare.session_id, bare.source.is_ok()), (None, true));
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        let long = format!(r#"{{"faceImageBase":"AAAA","sessionId":"{}"}}"#, "x".repeat(MAX_VALUE_BYTES + 1));
        for body in [
            "",
            "{",
            "[]",
            "[null,\"AAAA\"]",
            "\"AAAA\"",
            "{}x",
            r#"{"faceImageBase":"AAAA","sessionId":17}"#,
            r#"{"faceImageBase":"AAAA","sessionId":["a"]}"#,
            r#"{"faceImageBase":"AAAA","faceImageBase":"AAAA"}"#,
            "{\"faceImageBase\":\"\u{1}\"}",
            &long,
        ] {
            assert!(matches!(LivenessRequest::read(body.as_bytes(), 100), Err(Fault::Invalid(_))), "{body}");
        }
        assert!(LivenessRequest::read(b"{\"faceImageBase\":\"\xff\"}", 100).is_err());
    }

    proptest! {
        #[test]
        fn any_picture_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            let padded = base64_simd::STANDARD.encode_to_string(&bytes);
            prop_assert_eq!(picture(&padded), Some(bytes.clone()));
            prop_assert_eq!(picture(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(&bytes)), Some(bytes));
        }

        #[test]
        fn arbitrary_bodies_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = LivenessRequest::read(&body, 100);
        }

        #[test]
        fn arbitrary_texts_do_no_harm(text in "(data:|http:)?.{0,80}") {
            let _ = PictureSource::read(&text, 100);
        }
    }
}
