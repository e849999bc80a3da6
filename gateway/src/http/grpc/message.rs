//! A gRPC message on the wire: a flag byte (compressed or not), four bytes of length, then the message.

use std::io::{self, Read as _, Write as _};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::admission::InFlightPermit;
use crate::fault::Fault;
use crate::http::intake::limits::{ADMISSION_STEP_BYTES, MAX_BWS_ELEMENTS};
use crate::proto::v1::{LivenessDetectionRequest, PhotoVerifyRequest, VideoLivenessDetectionRequest};

/// Maximum bytes of a request's message, before and after decompression.
pub(in crate::http) const MAX_MESSAGE_BYTES: usize = 50 << 20;
/// Bytes of the flag and the length before a message.
pub(in crate::http) const PREFIX_BYTES: usize = 5;
/// Number of the field `live_images` in both kinds of request that have it.
const LIVE_IMAGES_FIELD: u32 = 1;
/// Number of the field `tags` of a live image.
const TAGS_FIELD: u32 = 2;

/// A request's message.
pub(in crate::http) trait RequestMessage: Message + Default {
    /// Whether it has the field `live_images`, whose pictures and tags are counted before they are decoded.
    const HAS_LIVE_IMAGES: bool;
}

impl RequestMessage for LivenessDetectionRequest {
    const HAS_LIVE_IMAGES: bool = true;
}

impl RequestMessage for PhotoVerifyRequest {
    const HAS_LIVE_IMAGES: bool = true;
}

impl RequestMessage for VideoLivenessDetectionRequest {
    const HAS_LIVE_IMAGES: bool = false;
}

/// Decodes the one message of a request's body. `permit` admits the memory for a compressed message while it is
/// decompressed.
///
/// # Errors
/// [`Fault::Invalid`] for a body that is not one message of type `M`, [`Fault::TooLarge`] for a message above
/// [`MAX_MESSAGE_BYTES`], [`Fault::Busy`] where there is no memory for it.
pub(in crate::http) async fn read<M: RequestMessage>(
    mut body: Bytes,
    is_compressed: bool,
    permit: &mut InFlightPermit,
) -> Result<M, Fault> {
    let invalid = |text: &str| Fault::Invalid(text.to_owned());
    if body.len() < PREFIX_BYTES {
        return Err(invalid("The request has no message."));
    }
    let mut message = body.split_off(PREFIX_BYTES);
    let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Err(too_large());
    }
    if length != message.len() {
        return Err(invalid("The request is not one message of the length that it says."));
    }
    match (body[0], is_compressed) {
        (0, _) => (),
        (1, true) => message = inflate(&message, permit).await?,
        (1, false) => {
            return Err(invalid("The message is compressed, and `grpc-encoding` does not say how."));
        }
        _ => return Err(invalid("The message is neither compressed nor plain.")),
    }
    let malformed = |error| Fault::Invalid(format!("The message is not of the form: {error}"));
    if M::HAS_LIVE_IMAGES {
        limit_elements(&message).map_err(malformed)??;
    }
    M::decode(message).map_err(malformed)
}

fn too_large() -> Fault {
    Fault::TooLarge { limit: MAX_MESSAGE_BYTES, place: String::new() }
}

/// Decompresses a message. Yields after each step, so a long message does not block other requests of this thread.
async fn inflate(message: &[u8], permit: &mut InFlightPermit) -> Result<Bytes, Fault> {
    let mut decoder = GzDecoder::new(message);
    let mut inflated = BytesMut::new();
    loop {
        permit.grow(ADMISSION_STEP_BYTES)?;
        let start = inflated.len();
        inflated.resize(start + ADMISSION_STEP_BYTES, 0);
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
            if end > MAX_MESSAGE_BYTES {
                return Err(too_large());
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Counts the pictures and tags of a request without decoding it, and refuses more than [`MAX_BWS_ELEMENTS`].
fn limit_elements(mut message: &[u8]) -> Result<Result<(), Fault>, prost::DecodeError> {
    let too_many = || Err(Fault::Invalid("Too many images or tags have been provided.".into()));
    let mut images = 0;
    while !message.is_empty() {
        let (field, kind) = decode_key(&mut message)?;
        if (field, kind) != (LIVE_IMAGES_FIELD, WireType::LengthDelimited) {
            skip_field(kind, field, &mut message, DecodeContext::default())?;
            continue;
        }
        images += 1;
        let length = decode_varint(&mut message)?;
        let Some((mut image, rest)) =
            usize::try_from(length).ok().and_then(|at| message.split_at_checked(at))
        else {
            // The message is truncated. The decoder that runs next reports it.
            return Ok(Ok(()));
        };
        message = rest;
        let mut tags = 0;
        while !image.is_empty() {
            let (field, kind) = decode_key(&mut image)?;
            tags += usize::from(field == TAGS_FIELD);
            skip_field(kind, field, &mut image, DecodeContext::default())?;
        }
        if images > MAX_BWS_ELEMENTS || tags > MAX_BWS_ELEMENTS {
            return Ok(too_many());
        }
    }
    Ok(Ok(()))
}

/// Encodes a message with its prefix.
pub(super) fn write(message: &impl Message, compress: bool) -> io::Result<Bytes> {
    let plain = message.encode_to_vec();
    let bytes = if compress {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain)?;
        encoder.finish()?
    } else {
        plain
    };
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + bytes.len());
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

    /// Reads a message where `memory` bytes of memory are left. Also returns the bytes that were admitted.
    async fn read_in(
        memory: usize,
        body: Bytes,
        is_compressed: bool,
    ) -> (Result<LivenessDetectionRequest, Fault>, usize) {
        let mut config = Settings::default();
        config.blobs.url = Some("redis://127.0.0.1".parse().unwrap());
        config.limits.inflight_bytes = memory;
        let admission: Arc<Admission> = Admission::new(&config, &Metrics::new());
        let caller = demo_caller();
        let fingerprint = admission.fingerprint(&caller, "/", None, ConnectionId::default());
        let mut permit = admission.admit(&caller, &fingerprint, 0).unwrap();
        let message = read(body, is_compressed, &mut permit).await;
        (message, permit.bytes())
    }

    async fn error_of(body: impl Into<Bytes>, is_compressed: bool) -> String {
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
            let (read, memory) = read_in(1 << 30, framed, is_compressed).await;
            assert_eq!(read.unwrap(), request);
            assert_eq!(memory, if is_compressed { ADMISSION_STEP_BYTES } else { 0 });
        }
        // A caller may announce a compression and not use it.
        let framed = write(&request, false).unwrap();
        assert_eq!(read_in(1 << 30, framed, true).await.0.unwrap(), request);
    }

    #[tokio::test]
    async fn what_is_no_message_is_told_so() {
        assert!(error_of(&b""[..], false).await.contains("no message"));
        assert!(error_of(&b"\0\0\0\0"[..], false).await.contains("no message"));
        assert!(error_of(&b"\0\0\0\0\x05abc"[..], false).await.contains("length"));
        assert!(error_of(&b"\0\0\0\0\0\0\0\0\0\0"[..], false).await.contains("length"), "two messages");
        assert!(error_of(&b"\x01\0\0\0\x03abc"[..], false).await.contains("grpc-encoding"));
        assert!(error_of(&b"\x01\0\0\0\x03abc"[..], true).await.contains("decompressed"));
        assert!(error_of(&b"\x02\0\0\0\x03abc"[..], true).await.contains("neither"));
        assert!(error_of(&b"\0\0\0\0\x03abc"[..], false).await.contains("not of the form"));
        assert!(error_of(&b"\0\0\0\0\x02\x0a\x7f"[..], false).await.contains("not of the form"));
        assert!(error_of(&b"\0\xff\xff\xff\xff"[..], false).await.contains("too big"));
    }

    #[tokio::test]
    async fn a_bomb_takes_no_more_than_its_bound_or_the_room_there_is() {
        let bomb = |length| write(&request(vec![0; length].into(), &[]), true).unwrap();
        let (read, memory) = read_in(1 << 30, bomb(MAX_MESSAGE_BYTES + 1), true).await;
        assert!(matches!(read, Err(Fault::TooLarge { .. })), "{:?}", read.is_ok());
        assert!(memory <= MAX_MESSAGE_BYTES + ADMISSION_STEP_BYTES, "{memory}");
        let (read, memory) = read_in(1 << 20, bomb(10 << 20), true).await;
        assert!(read.unwrap_err().as_busy().is_some());
        assert!(memory <= 1 << 20, "{memory}");
        assert!(read_in(1 << 30, bomb(MAX_MESSAGE_BYTES - 100), true).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_crowd_of_empty_elements_is_not_read() {
        let images = LivenessDetectionRequest { live_images: vec![ImageData::default(); 1_000_000] };
        let tags = request(Bytes::new(), &[""; 1_000_000]);
        for crowd in [images, tags] {
            let error = error_of(write(&crowd, false).unwrap(), false).await;
            assert_eq!(error, "Too many images or tags have been provided.");
        }
        let few = LivenessDetectionRequest { live_images: vec![ImageData::default(); MAX_BWS_ELEMENTS] };
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
