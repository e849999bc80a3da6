//! Checks the signatures of answers.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::gateway::Gateway;

/// Asserts that each object of the answer (the answer itself, or each element of a list) ends with a signature by the
/// gateway's key, and that the signature covers the rest of the object.
pub(crate) fn assert_signed(gateway: &Gateway, body: &str) {
    const MEMBER: &str = ",\"signature\":\"";
    let mut rest = body.trim_start_matches('[');
    let mut count = 0;
    while let Some((unsigned, after)) = rest.split_once(MEMBER) {
        let (jws, after) = after.split_once("\"}").unwrap();
        verify(gateway, &format!("{unsigned}}}"), jws);
        rest = after.trim_start_matches(',');
        count += 1;
    }
    assert!(count > 0 && rest.trim_end_matches(']').is_empty(), "{body}");
}

/// Like [`assert_signed`], for one object whose signature does not contain the rest of the object.
pub(crate) fn assert_signed_detached(gateway: &Gateway, body: &str) {
    let (unsigned, jws) = body.split_once(",\"signature\":\"").unwrap();
    let (header, signature) = jws.strip_suffix("\"}").unwrap().split_once("..").unwrap();
    let payload = format!("{unsigned}}}");
    let encoded = URL_SAFE_NO_PAD.encode_to_string(&payload);
    verify(gateway, &payload, &format!("{header}.{encoded}.{signature}"));
}

fn verify(gateway: &Gateway, payload: &str, jws: &str) {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode_to_vec(text).unwrap();
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let (header, encoded) = signed.split_once('.').unwrap();
    assert_eq!(String::from_utf8(decode(encoded)).unwrap(), payload);

    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let keys: Value = serde_json::from_slice(&gateway.signer.jwks().unwrap()).unwrap();
    let key = &keys["keys"][0];
    assert_eq!((&header["alg"], &header["kid"]), (&"ES256".into(), &key["kid"]));
    let member = |name: &str| decode(key[name].as_str().unwrap());
    let point = [vec![4], member("x"), member("y")].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
}
