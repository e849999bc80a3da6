//! Multipart bodies.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use faceline_gateway::families::form::{Form, Kind, Schema};
use faceline_gateway::http::intake::multipart::decode;
use memchr::memmem;

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "multipart",
    run: multipart,
    seeds,
    words: &[
        b"--b",
        b"--b--",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n--b\r\n",
        b"Content-Disposition: form-data; name=image",
        b"name=\"face\"",
        b"name=reference",
        b"name=imageType",
        b"name=rotate",
        b"Content-Transfer-Encoding: base64",
        b"{\"imageType\":\"A\"}",
        b"\\\"",
        b";",
        b"\r\n ",
        b"true",
    ],
    is_dotted_base64: false,
    max_allocated_bytes: 8 * MIB,
};

const SCHEMA: Schema = Schema {
    pictures: &["image"],
    object: Some("face"),
    document: Some("reference"),
    values: &[("imageType", Kind::Text), ("rotate", Kind::Flag), ("faces", Kind::Integer)],
};
const MAX_PICTURE_BYTES: usize = 4096;

/// Decodes a body with the boundary `b`, as a whole and in chunks of the length in its first byte.
///
/// # Panics
/// A part is not in the body, has more bytes than allowed, or depends on the chunks; or the decoder waits although it
/// has the whole body.
pub fn multipart(data: &[u8]) {
    let Some((length, body)) = data.split_first() else { return };
    let whole = decoded(body, body.len().max(1));
    let cut = decoded(body, usize::from(*length).max(1));
    match (&whole, &cut) {
        (Some(whole), Some(cut)) => {
            assert_eq!(whole.digest(), cut.digest(), "the form depends on how the body is cut");
        }
        (None, None) => (),
        _ => panic!("whether the body is a form depends on how it is cut"),
    }
    let Some(form) = whole else { return };
    let lies_in_body = |part: &[u8]| memmem::find(body, part).is_some();
    if let Ok(picture) = form.picture("image") {
        assert!(picture.len() <= MAX_PICTURE_BYTES, "{} bytes", picture.len());
        assert!(lies_in_body(&picture), "the picture is not in the body");
    }
    if let Ok(document) = form.document("reference") {
        assert!(lies_in_body(document.as_bytes()), "the document is not in the body");
    }
    // A text may also be a member of the JSON part, with escapes.
    if let Some(text) = form.text("imageType")
        && memmem::find(body, b"\\").is_none()
    {
        assert!(lies_in_body(text.as_bytes()), "the text is not in the body");
    }
}

fn decoded(body: &[u8], length: usize) -> Option<Form> {
    let chunks: Vec<_> = body.chunks(length).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let max_polls = 10 + 10 * chunks.len();
    let mut form =
        pin!(decode(futures_util::stream::iter(chunks), "b".into(), None, &SCHEMA, MAX_PICTURE_BYTES));
    // All bytes are available at once, so a decoder that waits would never end.
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..max_polls {
        if let Poll::Ready(form) = form.as_mut().poll(&mut context) {
            return form.ok();
        }
    }
    panic!("the decoder waits although it has the whole body");
}

fn seeds() -> Vec<Vec<u8>> {
    let part = |disposition: &str, content: &[u8]| {
        let head = format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let body = |length: u8, parts: &[Vec<u8>]| [&[length][..], &parts.concat(), b"--b--\r\n"].concat();
    let picture =
        part("name=\"image\"; filename=\"a \\\"b\\\".jpg\"", b"\xff\xd8\xff\r\n--not a boundary\r\n\xff\xd9");
    vec![
        body(7, &[picture.clone(), part("name=\"imageType\"", b"SELFIE"), part("name=rotate", b"TRUE")]),
        body(200, &[part("name=face", b"{\"imageType\":\"SELFIE\",\"faces\":3}"), picture.clone()]),
        body(1, &[part("name=reference", b"{\"template\":\"x\"}"), part("name=other", b"unread"), picture]),
        b"\x05preamble\r\n--b \t\r\ncontent-disposition:\r\n form-data;\r\n\tname=\"image\"\r\n\r\nx\r\n--b--epilogue".to_vec(),
    ]
}
