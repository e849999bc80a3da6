//! A message on the wire: five bytes that say whether it is compressed, and its length; then the message itself.

use std::io::{self, Read as _, Write as _};

use crate::fault::Fault;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::admission::Ticket;
use crate::http::intake::receive::STEP;

/// The longest message of a request.
pub(in crate::http) const LONGEST: usize = 50 << 20;
/// What is before a message.
pub(in crate::http) const PREFIX: usize = 5;
/// Of pictures, and of tags of a picture: more are not read. An empty one has two bytes on the wire, and dozens in memory.
const MOST: usize = 64;
/// Field numbers of both kinds of request, and of their pictures.
const LIVE_IMAGES: u32 = 1;
const TAGS: u32 = 2;

/// The one message of a request's body; room for what is compressed in it is taken of `ticket`.
///
/// # Errors
/// [`Fault::Invalid`] where it is not of the form, [`Fault::TooLarge`], and as of [`Ticket::grow`].
pub(in crate::http) async fn read<M: Message + Default>(
    mut body: Bytes,
    is_compressed: bool,
    ticket: &mut Ticket,
) -> Result<M, Fault> {
    let invalid = |text: &str| Fault::Invalid(text.to_owned());
    if body.len() < PREFIX {
        return Err(invalid("The request has no message."));
    }
    let mut message = body.split_off(PREFIX);
    let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
    if length > LONGEST {
        return Err(too_large());
    }
    if length != message.len() {
        return Err(invalid("The request is not one message of the length that it says."));
    }
    match (body[0], is_compressed) {
        (0, _) => (),
        (1, true) => message = inflated(&message, ticket).await?,
        (1, false) => {
            return Err(invalid("The message is compressed, and `grpc-encoding` does not say how."));
        }
        _ => return Err(invalid("The message is neither compressed nor plain.")),
    }
    let not_of_the_form = |error| Fault::Invalid(format!("The message is not of the form: {error}"));
    require_few(&message).map_err(not_of_the_form)??;
    M::decode(message).map_err(not_of_the_form)
}

fn too_large() -> Fault {
    Fault::TooLarge { limit: LONGEST, place: String::new() }
}

/// What was compressed. Others get their turn after each piece.
async fn inflated(message: &[u8], ticket: &mut Ticket) -> Result<Bytes, Fault> {
    let mut decoder = GzDecoder::new(message);
    let mut inflated = BytesMut::new();
    loop {
        ticket.grow(STEP)?;
        let start = inflated.len();
        inflated.resize(start + STEP, 0);
        let mut end = start;
        while end < inflated.len() {
            let read = decoder.read(&mut inflated[end..]);
            match read.map_err(|_| Fault::Invalid("The message cannot be decompressed.".into()))? {
                0 => {
                    inflated.truncate(end);
                    return Ok(inflated.freeze());
                }
                count => end += count,
            }
            if end > LONGEST {
                return Err(too_large());
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Checks that a request has no more elements than anybody needs.
fn require_few(mut message: &[u8]) -> Result<Result<(), Fault>, prost::DecodeError> {
    let too_many = || Err(Fault::Invalid("Too many images or tags have been provided.".into()));
    let mut images = 0;
    while !message.is_empty() {
        let (field, kind) = decode_key(&mut message)?;
        if (field, kind) != (LIVE_IMAGES, WireType::LengthDelimited) {
            skip_field(kind, field, &mut message, DecodeContext::default())?;
            continue;
        }
        images += 1;
        let length = decode_varint(&mut message)?;
        let Some((mut image, rest)) =
            usize::try_from(length).ok().and_then(|at| message.split_at_checked(at))
        else {
            // The decoder says what is wrong.
            return Ok(Ok(()));
        };
        message = rest;
        let mut tags = 0;
        while !image.is_empty() {
            let (field, kind) = decode_key(&mut image)?;
            tags += usize::from(field == TAGS);
            skip_field(kind, field, &mut image, DecodeContext::default())?;
        }
        if images > MOST || tags > MOST {
            return Ok(too_many());
        }
    }
    Ok(Ok(()))
}

/// A message as it goes out.
pub(super) fn write(message: &impl Message, compress: bool) -> io::Result<Bytes> {
    let plain = message.encode_to_vec();
    let bytes = if compress {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain)?;
        encoder.finish()?
    } else {
        plain
    };
    let mut framed = BytesMut::with_capacity(PREFIX + bytes.len());
    framed.put_u8(compress.into());
    framed.put_u32(u32::try_from(bytes.len()).map_err(io::Error::other)?);
    framed.put_slice(&bytes);
    Ok(framed.freeze())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use faceline_shared::settings::Settings;
    use faceline_shared::telemetry::Metrics;

    use super::*;
    use crate::accounts::demo_caller;
    use crate::admission::{Admission, ConnectionId};
    use crate::proto::ImageData;
    use crate::proto::v1::LivenessDetectionRequest;

    /// Reads with room for `room` bytes; also what room was taken.
    async fn read_in(
        room: usize,
        body: Bytes,
        is_compressed: bool,
    ) -> (Result<LivenessDetectionRequest, Fault>, usize) {
        let mut config = Settings::default();
        config.blobs.url = Some("redis://127.0.0.1".parse().unwrap());
        config.limits.inflight_bytes = room;
        let admission: Arc<Admission> = Admission::new(&config, &Metrics::new());
        let caller = demo_caller();
        let fingerprint = admission.fingerprint(&caller, "/", None, ConnectionId::default());
        let mut ticket = admission.admit(&caller, &fingerprint, 0).unwrap();
        let message = read(body, is_compressed, &mut ticket).await;
        (message, ticket.bytes())
    }

    async fn said(body: impl Into<Bytes>, is_compressed: bool) -> String {
        read_in(1 << 30, body.into(), is_compressed).await.0.unwrap_err().to_string()
    }

    fn request(image: Bytes, tags: &[&str]) -> LivenessDetectionRequest {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        LivenessDetectionRequest { live_images: vec![ImageData { image, tags }] }
    }

    #[tokio::test]
    async fn a_message_comes_back_plain_and_compressed() {
        let request = request(Bytes::from_static(b"a picture"), &["up"]);
        for is_compressed in [false, true] {
            let framed = write(&request, is_compressed).unwrap();
            let (read, room) = read_in(1 << 30, framed, is_compressed).await;
            assert_eq!(read.unwrap(), request);
            assert_eq!(room, if is_compressed { STEP } else { 0 });
        }
        // Compression may be announced and not be used.
        let framed = write(&request, false).unwrap();
        assert_eq!(read_in(1 << 30, framed, true).await.0.unwrap(), request);
    }

    #[tokio::test]
    async fn what_is_no_message_is_told_so() {
        assert!(said(&b""[..], false).await.contains("no message"));
        assert!(said(&b"\0\0\0\0"[..], false).await.contains("no message"));
        assert!(said(&b"\0\0\0\0\x05abc"[..], false).await.contains("length"));
        assert!(said(&b"\0\0\0\0\0\0\0\0\0\0"[..], false).await.contains("length"), "two messages");
        assert!(said(&b"\x01\0\0\0\x03abc"[..], false).await.contains("grpc-encoding"));
        assert!(said(&b"\x01\0\0\0\x03abc"[..], true).await.contains("decompressed"));
        assert!(said(&b"\x02\0\0\0\x03abc"[..], true).await.contains("neither"));
        assert!(said(&b"\0\0\0\0\x03abc"[..], false).await.contains("not of the form"));
        assert!(said(&b"\0\0\0\0\x02\x0a\x7f"[..], false).await.contains("not of the form"));
        assert!(said(&b"\0\xff\xff\xff\xff"[..], false).await.contains("too big"));
    }

    #[tokio::test]
    async fn a_bomb_takes_no_more_than_its_bound_or_the_room_there_is() {
        let bomb = |length| write(&request(vec![0; length].into(), &[]), true).unwrap();
        let (read, room) = read_in(1 << 30, bomb(LONGEST + 1), true).await;
        assert!(matches!(read, Err(Fault::TooLarge { .. })), "{:?}", read.is_ok());
        assert!(room <= LONGEST + STEP, "{room}");
        let (read, room) = read_in(1 << 20, bomb(10 << 20), true).await;
        assert!(read.unwrap_err().as_busy().is_some());
        assert!(room <= 1 << 20, "{room}");
        assert!(read_in(1 << 30, bomb(LONGEST - 100), true).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_crowd_of_empty_elements_is_not_read() {
        let images = LivenessDetectionRequest { live_images: vec![ImageData::default(); 1_000_000] };
        let tags = request(Bytes::new(), &[""; 1_000_000]);
        for crowd in [images, tags] {
            let said = said(write(&crowd, false).unwrap(), false).await;
            assert_eq!(said, "Too many images or tags have been provided.");
        }
        let few = LivenessDetectionRequest { live_images: vec![ImageData::default(); MOST] };
        assert!(read_in(1 << 30, write(&few, false).unwrap(), false).await.0.is_ok());
    }

    #[tokio::test]
    async fn any_bytes_are_read_or_refused() {
        let good = write(&request(Bytes::from_static(b"a picture"), &["up", "left"]), false).unwrap();
        for at in 0..good.len() {
            for value in [0, 1, 0x0a, 0x7f, 0x80, 0xff] {
                let mut changed = good.to_vec();
                changed[at] = value;
                let _ = read_in(1 << 30, changed.into(), false).await;
            }
        }
    }
}
