//! Tests of the encryption of media.

use proptest::prelude::*;

use super::*;

const SESSION: Uuid = Uuid::from_u128(0x11);

fn secret(first: u8) -> MediaSecret {
    MediaSecret { key: [first; 32], nonce_prefix: *b"prefix7" }
}

fn sealed_as(secret: &MediaSecret, session: Uuid, replay: &str, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut sealer = MediaSealer::new(secret, session, replay).unwrap();
    sealer.seal(plain, &mut sealed).unwrap();
    sealer.finish(&mut sealed).unwrap();
    sealed
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    sealed_as(&secret(1), SESSION, "replay", plain)
}

fn opened_as(
    secret: &MediaSecret,
    session: Uuid,
    replay: &str,
    pieces: &[&[u8]],
) -> Result<Vec<u8>, MediaError> {
    let mut opener = MediaOpener::new(&EncryptedMedia {
        object: String::new(),
        length: 0,
        key: secret.key,
        nonce_prefix: secret.nonce_prefix,
        session,
        replay: replay.into(),
        content_type: String::new(),
    })?;
    let mut plain = Vec::new();
    for piece in pieces {
        opener.open(piece, &mut plain)?;
    }
    opener.finish(&mut plain)?;
    Ok(plain)
}

fn opened(media: &[u8]) -> Result<Vec<u8>, MediaError> {
    opened_as(&secret(1), SESSION, "replay", &[media])
}

/// A plaintext whose chunks all differ.
fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

/// The chunks of encrypted media.
fn chunks(media: &[u8]) -> Vec<&[u8]> {
    media.chunks(SEALED_CHUNK_BYTES).collect()
}

#[test]
fn a_chunk_is_aes_256_gcm_under_the_documented_nonce_and_associated_data() {
    let plain = plain(CHUNK_BYTES + 5);
    let session = Uuid::parse_str("00000000-0000-4000-8000-0000000000AF").unwrap();
    let media = sealed_as(&secret(3), session, "id", &plain);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).unwrap());
    let associated_data = b"faceline-media-1\x0000000000-0000-4000-8000-0000000000af\0id";
    let mut expected = Vec::new();
    for (chunk, end) in [(&plain[..CHUNK_BYTES], [0, 0, 0, 0, 0]), (&plain[CHUNK_BYTES..], [0, 0, 0, 1, 1])] {
        let mut chunk = chunk.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&[b"prefix7".as_slice(), &end].concat()).unwrap();
        key.seal_in_place_append_tag(nonce, Aad::from(&associated_data[..]), &mut chunk).unwrap();
        expected.extend_from_slice(&chunk);
    }
    assert!(media == expected);
}

#[test]
fn media_of_every_length_around_the_borders_of_chunks_opens() {
    for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]
    {
        let plain = plain(length);
        let media = sealed(&plain);
        assert_eq!(media.len() as u64, sealed_length(length as u64), "{length}");
        assert!(opened(&media).as_ref() == Ok(&plain), "{length}");
    }
}

#[test]
fn media_that_is_cut_at_any_border_does_not_open() {
    let media = sealed(&plain(3 * CHUNK_BYTES));
    for chunk in 0..3 {
        for offset in [0, 1, TAG_BYTES, SEALED_CHUNK_BYTES - TAG_BYTES, SEALED_CHUNK_BYTES - 1] {
            let end = chunk * SEALED_CHUNK_BYTES + offset;
            assert_eq!(opened(&media[..end]), Err(MediaError::Forged), "{end}");
        }
    }
}

#[test]
fn reordered_repeated_and_missing_chunks_do_not_open() {
    let media = sealed(&plain(4 * CHUNK_BYTES));
    let chunks = chunks(&media);
    let of = |order: &[usize]| opened(&order.iter().flat_map(|&at| chunks[at]).copied().collect::<Vec<_>>());
    assert!(of(&[0, 1, 2, 3]).is_ok());
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 2, 1, 3],
        &[0, 1, 3, 2],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2, 2],
        &[1, 2, 3],
        &[0, 1, 3],
        &[3],
    ] {
        assert_eq!(of(order), Err(MediaError::Forged), "{order:?}");
    }
}

#[test]
fn two_streams_cannot_be_spliced() {
    let first = sealed(&plain(3 * CHUNK_BYTES));
    let other_plain = vec![7; 3 * CHUNK_BYTES];
    let with_key = sealed_as(&secret(2), SESSION, "replay", &other_plain);
    let with_prefix =
        sealed_as(&MediaSecret { nonce_prefix: *b"another", ..secret(1) }, SESSION, "replay", &other_plain);
    let of_session = sealed_as(&secret(1), Uuid::from_u128(0x12), "replay", &other_plain);
    let of_replay = sealed_as(&secret(1), SESSION, "replay2", &other_plain);
    for other in [with_key, with_prefix, of_session, of_replay] {
        assert_eq!(opened(&other), Err(MediaError::Forged));
        for spliced in 0..3 {
            let mut parts = chunks(&first);
            parts[spliced] = chunks(&other)[spliced];
            assert_eq!(opened(&parts.concat()), Err(MediaError::Forged), "{spliced}");
        }
    }
}

#[test]
fn ids_do_not_run_into_each_other() {
    let media = sealed_as(&secret(1), SESSION, "\0a", &[1]);
    assert!(opened_as(&secret(1), SESSION, "\0a", &[&media]).is_ok());
    assert!(opened_as(&secret(1), SESSION, "a", &[&media]).is_err());
    assert!(opened_as(&secret(1), SESSION, "\0a\0", &[&media]).is_err());
}

#[test]
fn trailing_bytes_do_not_open() {
    for length in [0, 5, CHUNK_BYTES, CHUNK_BYTES + 5] {
        for trailing in [1, TAG_BYTES, CHUNK_BYTES] {
            let media = [sealed(&plain(length)), vec![0; trailing]].concat();
            assert_eq!(opened(&media), Err(MediaError::Forged), "{length} {trailing}");
        }
    }
}

#[test]
fn no_bytes_are_no_media() {
    assert_eq!(opened(&[]), Err(MediaError::Forged));
    assert_eq!(opened(&[0; TAG_BYTES - 1]), Err(MediaError::Forged));
}

#[test]
fn an_empty_last_chunk_behind_others_does_not_open() {
    let mut chunks = Chunks::new(&[1; 32], *b"prefix7", SESSION, "replay").unwrap();
    let (mut first, mut last) = (plain(CHUNK_BYTES), Vec::new());
    chunks.seal(&mut first, false).unwrap();
    chunks.seal(&mut last, true).unwrap();
    assert_eq!(opened(&[first, last].concat()), Err(MediaError::Forged));
}

#[test]
fn an_error_is_final() {
    let media = sealed(&plain(2 * CHUNK_BYTES));
    let mut changed = media.clone();
    changed[0] ^= 1;
    let mut opener = MediaOpener::new(&EncryptedMedia {
        object: String::new(),
        length: 0,
        key: [1; 32],
        nonce_prefix: *b"prefix7",
        session: SESSION,
        replay: "replay".into(),
        content_type: String::new(),
    })
    .unwrap();
    let mut plain = Vec::new();
    assert_eq!(opener.open(&changed, &mut plain), Err(MediaError::Forged));
    assert_eq!(opener.open(&media, &mut plain), Err(MediaError::Forged));
    assert_eq!(opener.finish(&mut plain), Err(MediaError::Forged));
    assert!(plain.is_empty());
}

#[test]
fn fresh_secrets_differ_and_are_not_printed() {
    let secret = MediaSecret::generate().unwrap();
    assert_ne!(secret, MediaSecret::generate().unwrap());
    assert_eq!(format!("{secret:?}"), "MediaSecret");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_pieces_make_no_difference(
        length in 0..(2 * CHUNK_BYTES + 100),
        sizes in proptest::collection::vec(1..(CHUNK_BYTES + 100), 1..6),
    ) {
        let plain = plain(length);
        let cut = |bytes: &[u8]| {
            let mut pieces = Vec::new();
            let (mut rest, mut sizes) = (bytes.to_vec(), sizes.iter().cycle());
            while !rest.is_empty() {
                let size = (*sizes.next().unwrap()).min(rest.len());
                pieces.push(rest.drain(..size).collect::<Vec<_>>());
            }
            pieces
        };
        let (mut sealer, mut media) = (MediaSealer::new(&secret(1), SESSION, "replay").unwrap(), Vec::new());
        for piece in cut(&plain) {
            sealer.seal(&piece, &mut media).unwrap();
        }
        sealer.finish(&mut media).unwrap();
        prop_assert!(media == sealed(&plain));
        let pieces = cut(&media);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert!(opened_as(&secret(1), SESSION, "replay", &pieces) == Ok(plain));
    }

    #[test]
    fn one_changed_bit_does_not_open(length in 0..(CHUNK_BYTES + 100), at in 0.0..1.0_f64, bit in 0..8_u8) {
        let mut media = sealed(&plain(length));
        let at = (media.len() as f64 * at) as usize;
        media[at] ^= 1 << bit;
        prop_assert_eq!(opened(&media), Err(MediaError::Forged));
    }

    #[test]
    fn media_that_is_cut_anywhere_does_not_open(length in 0..(2 * CHUNK_BYTES), at in 0.0..1.0_f64) {
        let media = sealed(&plain(length));
        let end = (media.len() as f64 * at) as usize;
        prop_assert_eq!(opened(&media[..end]), Err(MediaError::Forged));
    }
}
