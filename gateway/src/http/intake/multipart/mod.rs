//! Decodes multipart bodies while they arrive.
//!
//! Everything is bounded: the number of parts, the headers of a part, a text, a picture. Parts that the operation
//! does not read, or that have no name, are dropped as they arrive. `parser` finds the parts, `part_headers` reads
//! their headers.

mod parser;
mod part_headers;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;

pub(super) use self::parser::Parser;
use self::part_headers::PartHeaders;
use crate::families::form::{Form, Role, Schema};
use crate::fault::Fault;

/// Maximum number of parts of one body.
const MAX_PARTS: usize = 100;
/// Maximum bytes of a part that is not a picture.
const MAX_TEXT_BYTES: usize = 128 << 10;
/// Size in bytes at which the buffer of a picture, in a body of unknown length, reserves the address space for the
/// largest picture. Reserved space takes memory only where it is written to. A buffer that grows step by step leaves
/// its previous allocations behind, which would be half as much again as was admitted.
const LARGE_PART_BYTES: usize = 1 << 20;

/// Reads a whole body. `length` is its size in bytes, where the caller sends it.
///
/// # Errors
/// [`Fault::Invalid`] for a body that is not the form of `schema`, [`Fault::TooLarge`] for a part that is too long,
/// and the fault with which `body` ends.
pub async fn decode<S>(
    body: S,
    boundary: String,
    length: Option<u64>,
    schema: &'static Schema,
    max_picture: usize,
) -> Result<Form, Fault>
where
    S: Stream<Item = Result<Bytes, Fault>> + Send + Unpin,
{
    let mut parser = Parser::new(body, &boundary);
    let mut form = Form::new(schema);
    let mut left = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    for _ in 0..=MAX_PARTS {
        let Some(headers) = parser.next_part().await? else { return Ok(form) };
        // A part without a name does not belong to the form.
        let Some(role) = headers.name.as_deref().and_then(|name| schema.role(name)) else { continue };
        check_coding(&headers)?;
        let expected = left.filter(|_| matches!(role, Role::Picture(_)));
        let bytes = read(&mut parser, role, max_picture, expected).await?;
        left = left.map(|left| left.saturating_sub(bytes.len()));
        form.insert(role, bytes)?;
    }
    Err(Fault::Invalid(format!("more than {MAX_PARTS} parts")))
}

/// Refuses a part with a transfer coding, which RFC 7578 (4.7) has deprecated. Without this check the caller would
/// get the error that its picture is not a picture.
pub(super) fn check_coding(headers: &PartHeaders) -> Result<(), Fault> {
    let plain = ["binary", "8bit", "7bit"];
    let Some(coding) = &headers.coding else { return Ok(()) };
    if plain.iter().any(|plain| coding.eq_ignore_ascii_case(plain)) {
        return Ok(());
    }
    let name = headers.name.as_deref().unwrap_or_default();
    Err(Fault::Invalid(format!(
        "`{name}`: Content-Transfer-Encoding is not supported, send the bytes as they are"
    )))
}

/// Reads a part. `expected` is the number of bytes that are left of the body, where that is known and the part is a
/// picture.
async fn read<S>(
    parser: &mut Parser<S>,
    role: Role,
    max_picture: usize,
    expected: Option<usize>,
) -> Result<Bytes, Fault>
where
    S: Stream<Item = Result<Bytes, Fault>> + Unpin,
{
    let (name, limit) = match role {
        Role::Picture(name) => (name, max_picture),
        Role::Object(name) | Role::Document(name) | Role::Value(name, _) => (name, MAX_TEXT_BYTES),
    };
    let mut bytes = BytesMut::new();
    while let Some(chunk) = parser.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(Fault::TooLarge { limit, place: format!(" in `{name}`") });
        }
        match expected {
            // One allocation: growing step by step would copy the picture several times.
            Some(expected) if bytes.is_empty() => bytes.reserve(expected.min(limit)),
            None if bytes.len() < LARGE_PART_BYTES && bytes.len() + chunk.len() >= LARGE_PART_BYTES => {
                bytes.reserve(limit - bytes.len());
            }
            _ => (),
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::families::form::Kind;

    const SCHEMA: Schema =
        Schema { pictures: &["image"], object: None, document: None, values: &[("imageType", Kind::Text)] };

    /// Polls a future that wakes itself until it is done, at most `max_polls` times.
    fn run<F: Future>(future: F, max_polls: usize) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..max_polls {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
        panic!("the decoder hangs");
    }

    /// Decodes arbitrary bytes that arrive in chunks of the size that the first byte determines. The decoder must not
    /// panic, hang, or keep more than its bounds allow. The target `multipart` of `deploy/fuzz` asserts more.
    fn assert_harmless(bytes: &[u8]) {
        const SCHEMA: Schema = Schema {
            pictures: &["image"],
            object: Some("face"),
            document: Some("reference"),
            values: &[("imageType", Kind::Text), ("rotate", Kind::Flag)],
        };
        const MAX_PICTURE: usize = 1000;
        let Some((size, body)) = bytes.split_first() else {
            return;
        };
        let chunks: Vec<_> =
            body.chunks(usize::from(*size).max(1)).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let max_polls = 10 + 10 * chunks.len();
        let decoded = run(
            decode(futures_util::stream::iter(chunks), "b".into(), None, &SCHEMA, MAX_PICTURE),
            max_polls,
        );
        if let Ok(form) = decoded
            && let Ok(picture) = form.picture("image")
        {
            assert!(picture.len() <= MAX_PICTURE, "{} bytes", picture.len());
        }
    }

    fn body(image: &[u8], text: &str) -> Vec<u8> {
        let mut body =
            b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=x\r\n\r\n".to_vec();
        body.extend_from_slice(image);
        body.extend_from_slice(b"\r\n--b \r\ncontent-disposition: form-data; name=imageType\r\n\r\n");
        body.extend_from_slice(text.as_bytes());
        body.extend_from_slice(b"\r\n--b--\r\nepilogue");
        body
    }

    fn decode_in_chunks(body: &[u8], sizes: &[usize]) -> Result<Form, Fault> {
        let mut chunks = Vec::new();
        let mut rest = Bytes::copy_from_slice(body);
        let mut sizes = sizes.iter().cycle();
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            chunks.push(Ok(rest.split_to((*size).min(rest.len()))));
        }
        let max_polls = 100 + 10 * chunks.len();
        run(decode(futures_util::stream::iter(chunks), "b".into(), None, &SCHEMA, usize::MAX), max_polls)
    }

    proptest! {
        #[test]
        fn a_picture_comes_back_to_the_bit_however_it_is_cut(
            image in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 1..300),
            sizes in proptest::collection::vec(1..40_usize, 1..5),
        ) {
            prop_assume!(!image.windows(5).any(|window| window == b"\r\n--b"));
            prop_assume!(!image.starts_with(b"--b"));
            let form = decode_in_chunks(&body(&image, "SELFIE"), &sizes).unwrap();
            prop_assert_eq!(form.picture("image").unwrap(), image);
            prop_assert_eq!(form.text("imageType"), Some("SELFIE"));
        }

        #[test]
        fn a_truncated_body_is_refused(image in any::<Vec<u8>>(), at in 0.0..1.0_f64) {
            let whole = body(&image, "SELFIE");
            let end = whole.len() - "--\r\nepilogue".len();
            let cut = &whole[..(end as f64 * at) as usize];
            prop_assert!(decode_in_chunks(cut, &[7]).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in any::<Vec<u8>>()) {
            assert_harmless(&bytes);
        }

        #[test]
        fn almost_multipart_does_no_harm(parts in proptest::collection::vec(
            prop_oneof![
                Just("--b"), Just("--"), Just("\r\n"), Just("\r\n\r\n"), Just("x"), Just("\""), Just(" "),
                Just("Content-Disposition: form-data; name=image"), Just("Content-Disposition: a; name=\"face\""),
                Just("{\"imageType\":\"A\"}"), Just("\u{0}\u{ff}"), Just("Content-Disposition: a; name=imageType"),
            ],
            0..30,
        )) {
            assert_harmless(&[b"\x05", parts.concat().as_bytes()].concat());
            assert_harmless(&[b"\xff", parts.concat().as_bytes()].concat());
        }
    }

    #[test]
    fn coded_parts_are_refused_where_they_are_read() {
        let decoded = |coding: &str, name: &str| {
            let header = format!("Content-Transfer-Encoding: {coding}\r\n");
            let disposition = format!("Content-Disposition: form-data; name={name}\r\n");
            let body = format!("--b\r\n{disposition}{header}\r\nU0VMRklF\r\n--b--\r\n");
            decode_in_chunks(body.as_bytes(), &[100])
        };
        for coding in ["base64", "quoted-printable", ""] {
            let fault = decoded(coding, "imageType").unwrap_err();
            assert!(fault.to_string().starts_with("`imageType`: Content-Transfer-Encoding"), "{fault}");
            assert!(decoded(coding, "other").is_ok());
        }
        assert_eq!(decoded("Binary", "imageType").unwrap().text("imageType"), Some("U0VMRklF"));
    }

    #[test]
    fn a_large_picture_is_not_kept_beyond_its_bound() {
        let large = body(&vec![0; 100_000], "SELFIE");
        let stream = futures_util::stream::iter([Ok(Bytes::from(large))]);
        let fault = run(decode(stream, "b".into(), None, &SCHEMA, 50_000), 1000).unwrap_err();
        assert_eq!(fault, Fault::TooLarge { limit: 50_000, place: " in `image`".into() });
    }
}
