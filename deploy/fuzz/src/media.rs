//! The encrypted videos of uploads.

use faceline_shared::job::replay::EncryptedMedia;
use faceline_shared::replay::media::{CHUNK_BYTES, MediaOpener, MediaSealer, MediaSecret, sealed_length};
use uuid::Uuid;

use crate::{KIB, MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "media",
    run: media,
    seeds,
    words: &[],
    is_dotted_base64: false,
    max_allocated_bytes: 4 * MIB + 64 * KIB,
};

const SECRET: MediaSecret = MediaSecret { key: [5; 32], nonce_prefix: [6; 7] };
const SESSION: Uuid = Uuid::from_u128(1);
const REPLAY: &str = "replay-1";

/// Opens media that arrives in pieces, whose length follows from the first byte. Then seals the bytes, and opens the
/// result.
///
/// # Panics
/// Media opens that was never sealed, the opened content depends on the pieces, or sealed media does not open.
pub fn media(data: &[u8]) {
    let Some((scale, content)) = data.split_first() else { return };
    let piece = 1 + usize::from(*scale) * 300;
    let opened = opened(content, piece);
    assert_eq!(opened, self::opened(content, usize::MAX), "it depends on the pieces");
    if let Some(opened) = opened {
        assert!(samples().contains(&opened), "it opens and was never sealed: {} bytes", opened.len());
    }
    let sealed = sealed(content, piece);
    assert_eq!(sealed.len() as u64, sealed_length(content.len() as u64));
    assert_eq!(self::opened(&sealed, piece).as_deref(), Some(content));
}

fn opened(sealed: &[u8], piece: usize) -> Option<Vec<u8>> {
    let media = EncryptedMedia {
        object: String::new(),
        length: sealed.len() as u64,
        key: SECRET.key,
        nonce_prefix: SECRET.nonce_prefix,
        session: SESSION,
        replay: REPLAY.into(),
        content_type: "video/webm".into(),
    };
    let mut opener = MediaOpener::new(&media).expect("the cipher is available");
    let mut plain = Vec::new();
    for piece in sealed.chunks(piece) {
        opener.open(piece, &mut plain).ok()?;
    }
    opener.finish(&mut plain).ok()?;
    Some(plain)
}

fn sealed(plain: &[u8], piece: usize) -> Vec<u8> {
    let mut sealer = MediaSealer::new(&SECRET, SESSION, REPLAY).expect("the cipher is available");
    let mut sealed = Vec::new();
    for piece in plain.chunks(piece) {
        sealer.seal(piece, &mut sealed).expect("a piece can be sealed");
    }
    sealer.finish(&mut sealed).expect("the last chunk can be sealed");
    sealed
}

/// Media of no chunk, one and two chunks. They are the same in each run, since the secret is.
fn samples() -> [Vec<u8>; 4] {
    [Vec::new(), vec![1; 100], vec![2; CHUNK_BYTES], vec![3; CHUNK_BYTES + 1]]
}

fn seeds() -> Vec<Vec<u8>> {
    samples().iter().map(|plain| [&[40][..], &sealed(plain, CHUNK_BYTES)].concat()).collect()
}
