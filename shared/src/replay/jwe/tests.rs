//! Tests of the encryption of metadata.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::settings::Settings;

const PLAIN: &[u8] = b"{\"id\":\"replay\"}";

fn pair() -> (KeyPair, RecipientKey) {
    let pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&pair).unwrap().der().to_vec();
    let key = RecipientKey::new(pair.serialized_der(), certificate).unwrap();
    (pair, key)
}

fn keys(count: usize) -> Vec<RecipientKey> {
    (0..count).map(|_| pair().1).collect()
}

/// The JWE with one of its parts changed.
fn with_part(jwe: &str, at: usize, change: impl FnOnce(&str) -> String) -> String {
    let mut parts: Vec<String> = jwe.split('.').map(str::to_owned).collect();
    parts[at] = change(&parts[at]);
    parts.join(".")
}

#[test]
fn what_is_sealed_for_any_of_the_keys_opens() {
    let keys = keys(3);
    for key in &keys {
        let jwe = seal(PLAIN, key.certificate()).unwrap();
        assert_eq!(open(&jwe, &keys).as_deref(), Ok(PLAIN));
    }
    assert_eq!(open(&seal(b"", keys[0].certificate()).unwrap(), &keys), Ok(vec![]));
}

#[test]
fn two_encryptions_have_nothing_in_common_but_their_key_id() {
    let keys = keys(1);
    let [one, two] = [(); 2].map(|()| seal(PLAIN, keys[0].certificate()).unwrap());
    for (one, two) in one.split('.').zip(two.split('.')) {
        assert_ne!(one, two);
    }
}

#[test]
fn other_keys_and_no_keys_open_nothing() {
    let (mine, others) = (keys(1), keys(2));
    let jwe = seal(PLAIN, mine[0].certificate()).unwrap();
    assert_eq!(open(&jwe, &others), Err(JweError));
    assert_eq!(open(&jwe, &[]), Err(JweError));
    assert_eq!(seal(PLAIN, b"no certificate"), Err(JweSealError::Certificate));
}

#[test]
fn a_key_id_that_names_another_key_does_not_open() {
    let keys = keys(2);
    let jwe = seal_for(PLAIN, keys[1].id().into(), &public_point(keys[0].certificate()).unwrap()).unwrap();
    assert_eq!(open(&jwe, &keys), Err(JweError));
    let jwe = seal_for(PLAIN, "unknown".into(), &public_point(keys[0].certificate()).unwrap()).unwrap();
    assert_eq!(open(&jwe, &keys), Err(JweError));
}

#[test]
fn a_header_of_another_form_does_not_open_although_its_key_is_right() {
    let keys = keys(1);
    let jwe = seal(PLAIN, keys[0].certificate()).unwrap();
    for (name, value) in
        [("zip", json!("DEF")), ("crit", json!(["exp"])), ("apu", json!("QQ")), ("typ", json!("JWT"))]
    {
        let changed = with_part(&jwe, 0, |header| {
            let mut header: Value = serde_json::from_slice(&decoded(header).unwrap()).unwrap();
            header[name] = value.clone();
            URL_SAFE_NO_PAD.encode_to_string(header.to_string())
        });
        assert_eq!(open(&changed, &keys), Err(JweError), "{name}");
    }
}

#[test]
fn points_that_are_not_on_the_curve_do_not_open() {
    let keys = keys(1);
    let jwe = seal(PLAIN, keys[0].certificate()).unwrap();
    let zero = URL_SAFE_NO_PAD.encode_to_string([0; 32]);
    for (x, y) in [(Some(&zero), Some(&zero)), (None, Some(&zero)), (Some(&zero), None)] {
        let changed = with_part(&jwe, 0, |header| {
            let mut header: Value = serde_json::from_slice(&decoded(header).unwrap()).unwrap();
            for (name, coordinate) in [("x", x), ("y", y)] {
                if let Some(coordinate) = coordinate {
                    header["epk"][name] = json!(coordinate);
                }
            }
            URL_SAFE_NO_PAD.encode_to_string(header.to_string())
        });
        assert_eq!(open(&changed, &keys), Err(JweError));
    }
}

#[test]
fn base64_is_strict() {
    let keys = keys(1);
    let jwe = seal(PLAIN, keys[0].certificate()).unwrap();
    for part in 0..5 {
        for change in [
            |text: &str| format!("{text}="),
            |text: &str| format!("{text}=="),
            |text: &str| format!(" {text}"),
            |text: &str| format!("{text}\n"),
            |text: &str| format!("{text}\u{0}"),
            |text: &str| format!("{text}A"),
            |text: &str| text.replace(['-', '_'], "+") + "+",
            |_: &str| String::new(),
        ] {
            assert_eq!(open(&with_part(&jwe, part, change), &keys), Err(JweError), "part {part}");
        }
        // The last character of a text whose length is no multiple of four has unused bits, which must be zero.
        let changed = with_part(&jwe, part, |text| {
            let mut text = text.to_owned();
            let last = text.pop().unwrap();
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            text.push(alphabet.as_bytes()[(alphabet.find(last).unwrap() + 1) % 64].into());
            text
        });
        assert_eq!(open(&changed, &keys), Err(JweError), "part {part}");
    }
}

#[test]
fn a_jwe_has_five_parts_and_a_bounded_length() {
    let keys = keys(1);
    let jwe = seal(PLAIN, keys[0].certificate()).unwrap();
    let four = jwe.rsplit_once('.').unwrap().0;
    for text in
        ["", ".", "....", ".....", four, &format!("{jwe}."), &format!("{jwe}.x"), &format!(".{jwe}"), "{}"]
    {
        assert_eq!(open(text, &keys), Err(JweError), "{text}");
    }
    let longest = |plain: usize| seal(&vec![b'x'; plain], keys[0].certificate()).unwrap();
    assert!(open(&longest(11 << 10), &keys).is_ok());
    let long = longest(13 << 10);
    assert!(long.len() > MAX_JWE_BYTES);
    assert_eq!(open(&long, &keys), Err(JweError));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_changed_character_does_not_open(at in 0.0..1.0_f64, to in "[A-Za-z0-9_.-]") {
        let keys = keys(1);
        let jwe = seal(PLAIN, keys[0].certificate()).unwrap();
        let at = (jwe.len() as f64 * at) as usize;
        prop_assume!(jwe[at..=at] != to);
        let changed = format!("{}{to}{}", &jwe[..at], &jwe[at + 1..]);
        prop_assert_eq!(open(&changed, &keys), Err(JweError));
    }

    #[test]
    fn arbitrary_texts_do_no_harm(text in "(\\PC{0,40}\\.){0,6}\\PC{0,40}") {
        prop_assert_eq!(open(&text, &keys(1)), Err(JweError));
    }
}

/// Runs `program` with PyPI's jwcrypto. It reads JSON and prints JSON.
fn jwcrypto(program: &str, given: &Value) -> Value {
    // `make test` installs it there.
    let folder = Settings::default().models.dir.with_file_name("tools").join("jwcrypto");
    assert!(folder.is_dir(), "{} is missing; `make test` installs it", folder.display());
    let program = format!(
        "import json, sys\nfrom jwcrypto.jwe import JWE\nfrom jwcrypto.jwk import JWK\ngiven = json.load(sys.stdin)\n{program}"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .env("PYTHONPATH", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn jwcrypto_opens_what_is_sealed_here() {
    let (pair, key) = pair();
    let jwe = seal(PLAIN, key.certificate()).unwrap();
    let opened = jwcrypto(
        "jwe = JWE()\njwe.allowed_algs = ['ECDH-ES+A256KW', 'A256GCM']\n\
         jwe.deserialize(given['jwe'], JWK.from_pem(given['key'].encode()))\nprint(json.dumps(jwe.payload.decode()))",
        &json!({"jwe": jwe, "key": pair.serialize_pem()}),
    );
    assert_eq!(opened.as_str().map(str::as_bytes), Some(PLAIN));
}

#[test]
fn what_jwcrypto_seals_opens_here_if_its_header_is_right() {
    let (pair, key) = pair();
    let sealed = jwcrypto(
        "def sealed(header):\n    jwe = JWE(given['plain'].encode(), protected=json.dumps(header))\n    \
         jwe.add_recipient(JWK.from_pem(given['key'].encode()))\n    return jwe.serialize(compact=True)\n\
         print(json.dumps([sealed(header) for header in given['headers']]))",
        &json!({
            "plain": std::str::from_utf8(PLAIN).unwrap(),
            "key": pair.public_key_pem(),
            "headers": [
                {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key.id()},
                {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key.id(), "zip": "DEF"},
                {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key.id(), "apu": "QWxpY2U", "apv": "Qm9i"},
                {"alg": "ECDH-ES+A256KW", "enc": "A256CBC-HS512", "kid": key.id()},
                {"alg": "ECDH-ES+A128KW", "enc": "A256GCM", "kid": key.id()},
                {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.id()},
                {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"},
            ],
        }),
    );
    let keys = [key];
    let opened: Vec<_> =
        sealed.as_array().unwrap().iter().map(|jwe| open(jwe.as_str().unwrap(), &keys)).collect();
    assert_eq!(opened[0].as_deref(), Ok(PLAIN));
    assert!(opened[1..].iter().all(|opened| *opened == Err(JweError)), "{opened:?}");
}
