//! Decodes multipart bodies as they come in.
//!
//! Everything is bounded: the number of parts, the headers of a part, a text, a picture. What nobody reads is
//! dropped on the way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use crate::fault::Fault;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use multer::{Field, Multipart};

use crate::families::form::{Form, Kind, Role, Schema};

/// Parts of one body.
const MAX_PARTS: usize = 100;
/// Bytes that may pass before a part's headers are complete.
const MAX_PART_HEADER: usize = 16 << 10;
/// Size of a part that is no picture.
const MAX_TEXT: usize = 128 << 10;
/// A part of this size gets all the address space that it may need. Memory is what is written to; a buffer that grew by
/// and by would leave its earlier selves behind, half as much again as the callers' budget.
const LARGE: usize = 1 << 20;
/// The parser searches what it has again with each piece, and takes all that is there at once; pieces of this size
/// bound both.
const PIECE: usize = 16 << 10;

/// Reads a whole body, of `length` bytes where its sender says so.
///
/// # Errors
/// [`Fault::Invalid`] for a body that is not of the form, [`Fault::TooLarge`] for a part that is, and the fault of
/// `body` itself.
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
    let header_room = Arc::new(AtomicUsize::new(0));
    let pieces = Pieces { body, rest: Bytes::new(), rested: true, header_room: Arc::clone(&header_room) };
    let mut parts = Multipart::new(pieces, boundary);
    let mut form = Form::new(schema);
    let mut left = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    for _ in 0..=MAX_PARTS {
        header_room.store(MAX_PART_HEADER, Ordering::Relaxed);
        let Some(mut field) = parts.next_field().await.map_err(fault)? else {
            return Ok(form);
        };
        header_room.store(usize::MAX, Ordering::Relaxed);
        match field.name().and_then(|name| schema.role(name)) {
            Some(role) => {
                check_coding(&field)?;
                let expected = left.filter(|_| matches!(role, Role::Picture(_)));
                let bytes = read(&mut field, role, max_picture, expected).await?;
                left = left.map(|left| left.saturating_sub(bytes.len()));
                form.insert(role, bytes)?;
            }
            None => while field.chunk().await.map_err(fault)?.is_some() {},
        }
    }
    Err(Fault::Invalid(format!("more than {MAX_PARTS} parts")))
}

/// RFC 7578 (4.7) has done away with codings of parts. Whoever still uses one is told, rather than that a picture is
/// none.
fn check_coding(field: &Field<'_>) -> Result<(), Fault> {
    let Some(coding) = field.headers().get("content-transfer-encoding") else {
        return Ok(());
    };
    let plain = ["binary", "8bit", "7bit"];
    if plain.iter().any(|plain| coding.as_bytes().eq_ignore_ascii_case(plain.as_bytes())) {
        return Ok(());
    }
    let name = field.name().unwrap_or_default();
    Err(Fault::Invalid(format!(
        "`{name}`: Content-Transfer-Encoding is not supported, send the bytes as they are"
    )))
}

/// Reads a part, which may have as many bytes as are `expected`.
async fn read(
    field: &mut Field<'_>,
    role: Role,
    max_picture: usize,
    expected: Option<usize>,
) -> Result<Bytes, Fault> {
    let (name, limit) = match role {
        Role::Picture(name) => (name, max_picture),
        Role::Object(name) | Role::Document(name) | Role::Value(name, _) => (name, MAX_TEXT),
    };
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(fault)? {
        if bytes.len() + chunk.len() > limit {
            return Err(Fault::TooLarge { limit, place: format!(" in `{name}`") });
        }
        match expected {
            // Growing step by step would copy it several times.
            Some(expected) if bytes.is_empty() => bytes.reserve(expected.min(limit)),
            None if bytes.len() < LARGE && bytes.len() + chunk.len() >= LARGE => {
                bytes.reserve(limit - bytes.len());
            }
            _ => (),
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn fault(error: multer::Error) -> Fault {
    match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast() {
            Ok(fault) => *fault,
            Err(inner) => Fault::Invalid(format!("the body cannot be read: {inner}")),
        },
        malformed => Fault::Invalid(format!("malformed multipart body: {malformed}")),
    }
}

/// Hands a body to the parser in small pieces with a rest after each, since the parser takes in whatever is ready
/// before it looks at it; counts what comes while a part's headers are read.
struct Pieces<S> {
    body: S,
    rest: Bytes,
    rested: bool,
    header_room: Arc<AtomicUsize>,
}

impl<S: Stream<Item = Result<Bytes, Fault>> + Unpin> Stream for Pieces<S> {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rested {
            self.rested = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match ready!(self.body.poll_next_unpin(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        let room = self.header_room.load(Ordering::Relaxed);
        if room == 0 {
            let message = format!("the headers of a part have more than {MAX_PART_HEADER} bytes");
            return Poll::Ready(Some(Err(Fault::Invalid(message))));
        }
        if room != usize::MAX {
            self.header_room.store(room.saturating_sub(length), Ordering::Relaxed);
        }
        self.rested = false;
        Poll::Ready(Some(Ok(piece)))
    }
}

/// A fuzz target: decodes arbitrary bytes, which come in chunks of a size that the first byte names. Nothing may
/// panic, hang, or be kept beyond its bound.
pub fn fuzz(bytes: &[u8]) {
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
    let most = 10 + 10 * chunks.len();
    let decoded =
        run(decode(futures_util::stream::iter(chunks), "b".into(), None, &SCHEMA, MAX_PICTURE), most);
    if let Ok(form) = decoded
        && let Ok(picture) = form.picture("image")
    {
        assert!(picture.len() <= MAX_PICTURE, "{} bytes", picture.len());
    }
}

/// Polls a future that wakes itself until it is done, at most `most` times.
fn run<F: Future>(future: F, most: usize) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..most {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the decoder hangs");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEMA: Schema =
        Schema { pictures: &["image"], object: None, document: None, values: &[("imageType", Kind::Text)] };

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
        let most = 100 + 10 * (chunks.len() + body.len() / PIECE);
        run(decode(futures_util::stream::iter(chunks), "b".into(), None, &SCHEMA, usize::MAX), most)
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
            fuzz(&bytes);
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
            fuzz(&[b"\x05", parts.concat().as_bytes()].concat());
            fuzz(&[b"\xff", parts.concat().as_bytes()].concat());
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
