//! The metadata of uploads, and the JWE that holds it.

use std::sync::LazyLock;

use faceline_shared::replay::jwe::{MAX_JWE_BYTES, open, seal};
use faceline_shared::replay::metadata::{DeviceInfo, SdkInfo, ShownChallenge, UploadMetadata};
use faceline_shared::replay::recipient::RecipientKey;

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "jwe",
    run: jwe,
    seeds,
    words: &[
        b".",
        b"..",
        b"\"alg\":\"ECDH-ES+A256KW\"",
        b"\"enc\":\"A256GCM\"",
        b"\"kid\"",
        b"\"epk\"",
        b"\"crv\":\"P-256\"",
        b"\"zip\":\"DEF\"",
        b"\"id\"",
        b"\"seed\"",
        b"\"mediaLength\"",
        b"\"contentType\":\"video/webm\"",
        b"\"events\"",
        b"\"mirrored\":false",
        b"null",
        b"4294967296",
        b"-1",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
    ],
    is_dotted_base64: true,
    max_allocated_bytes: 4 * MIB,
};

/// The recipient's certificate. It and its key are for fuzzing only.
const CERTIFICATE: &[u8] = include_bytes!("../keys/recipient-certificate.der");

static KEYS: LazyLock<[RecipientKey; 1]> = LazyLock::new(|| {
    let key = include_bytes!("../keys/recipient-key.der");
    [RecipientKey::new(key, CERTIFICATE.to_vec()).expect("the key is that of the certificate")]
});

/// Opens the bytes as a JWE, and reads them as metadata. Then seals the bytes, and opens the result.
///
/// # Panics
/// A JWE opens that was never sealed, a sealed one does not open, or accepted metadata does not survive a round trip
/// (write, read).
pub fn jwe(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(opened) = open(text, &*KEYS)
    {
        assert!(samples().contains(&opened), "it opens and was never sealed: {}", opened.escape_ascii());
    }
    if let Ok(metadata) = UploadMetadata::parse(data) {
        let written = metadata.to_json();
        assert!(UploadMetadata::parse(&written).expect("metadata that was written is read") == metadata);
    }
    let sealed = seal(data, CERTIFICATE).expect("bytes can be sealed");
    match open(&sealed, &*KEYS) {
        Ok(opened) => assert_eq!(opened, data),
        Err(_) => assert!(sealed.len() > MAX_JWE_BYTES, "what was sealed does not open"),
    }
}

/// Metadata with all members, and with the required ones only.
fn samples() -> [Vec<u8>; 2] {
    let least = UploadMetadata {
        id: "replay-1".into(),
        seed: 7,
        server_random: [1; 32],
        media_key: [2; 32],
        nonce_prefix: [3; 7],
        media_length: 1000,
        media_digest: [4; 32],
        content_type: "video/webm".into(),
        mirrored: true,
        device_info: None,
        sdk_info: None,
        events: Vec::new(),
    };
    let most = UploadMetadata {
        device_info: Some(DeviceInfo {
            device_model: Some("model".into()),
            os_type: Some("Android".into()),
            os_version: Some("16".into()),
        }),
        sdk_info: Some(SdkInfo { sdk_version: Some("1.0".into()) }),
        events: vec![
            ShownChallenge { challenge: 0, shown_at: 900 },
            ShownChallenge { challenge: 1, shown_at: 2500 },
        ],
        ..least.clone()
    };
    [least.to_json(), most.to_json()]
}

fn seeds() -> Vec<Vec<u8>> {
    let sealed = |plain: &Vec<u8>| seal(plain, CERTIFICATE).expect("metadata can be sealed").into_bytes();
    let samples = samples();
    samples.iter().map(sealed).chain(samples.clone()).collect()
}
