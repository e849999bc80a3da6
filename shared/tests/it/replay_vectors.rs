//! The published test vectors of replays, which another implementation has made (`shared/testdata/replay/vectors.py`).

use base64_simd::STANDARD;
use faceline_shared::digest::sha256_hex;
use faceline_shared::job::examination::Direction;
use faceline_shared::job::replay::EncryptedMedia;
use faceline_shared::replay::media::MediaOpener;
use faceline_shared::replay::metadata::UploadMetadata;
use faceline_shared::replay::recipient::RecipientKey;
use faceline_shared::replay::{MAX_CHALLENGES, challenges, jwe};
use serde_json::Value;

const CHALLENGES: &str = include_str!("../../testdata/replay/challenges.json");
const UPLOAD: &str = include_str!("../../testdata/replay/upload.json");
const MEDIA: &[u8] = include_bytes!("../../testdata/replay/media.bin");

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
        Direction::Left => "left",
        Direction::Right => "right",
    }
}

#[test]
fn the_published_seeds_have_the_published_challenges() {
    let vectors: Vec<Value> = serde_json::from_str(CHALLENGES).unwrap();
    assert_eq!(vectors.len(), 20);
    for vector in vectors {
        let seed = vector["seed"].as_u64().unwrap() as u32;
        let names: Vec<_> = challenges(seed, MAX_CHALLENGES).into_iter().map(name).collect();
        assert_eq!(vector["challenges"], serde_json::json!(names), "{seed}");
    }
}

#[test]
fn the_published_upload_opens() {
    let upload: Value = serde_json::from_str(UPLOAD).unwrap();
    let text = |pointer: &str| upload.pointer(pointer).and_then(Value::as_str).unwrap();
    let bytes = |pointer: &str| STANDARD.decode_to_vec(text(pointer)).unwrap();
    let key = RecipientKey::new(&bytes("/privateKey"), bytes("/certificate")).unwrap();
    let claims = jwe::open(text("/metadata"), &[key]).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap(), upload["claims"]);

    let metadata = UploadMetadata::parse(&claims).unwrap();
    assert_eq!(metadata.media_length, MEDIA.len() as u64);
    let digest: String = metadata.media_digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, sha256_hex(MEDIA));
    let mut opener = MediaOpener::new(&EncryptedMedia {
        object: String::new(),
        length: metadata.media_length,
        key: metadata.media_key,
        nonce_prefix: metadata.nonce_prefix,
        session: text("/session").parse().unwrap(),
        replay: metadata.id.clone(),
        content_type: metadata.content_type.clone(),
    })
    .unwrap();
    let mut plain = Vec::new();
    opener.open(MEDIA, &mut plain).unwrap();
    opener.finish(&mut plain).unwrap();
    assert_eq!(Some(plain.len() as u64), upload["plaintext"]["length"].as_u64());
    assert_eq!(sha256_hex(&plain), text("/plaintext/sha256"));
}
