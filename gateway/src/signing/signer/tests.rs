//! Tests of signatures, and of keys and their file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64_simd::URL_SAFE_NO_PAD;
use faceline_shared::secret_file::SecretFileError;
use faceline_shared::settings::SigningAlgorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::signing::command::SigningCommand;
use crate::signing::key_file::ANNOUNCEMENT;

fn config(folder: &TempDir, algorithm: SigningAlgorithm) -> Settings {
    let mut config = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
    config.signing.algorithm = algorithm;
    config
}

fn load(settings: &Settings) -> Result<Signer, SigningError> {
    Signer::load(settings, &Metrics::new())
}

/// Lets a signer take over a change of its file, which requires that two polls have found it.
fn poll(signer: &Signer) {
    (0..2).for_each(|_| signer.keys.poll());
}

fn signer(folder: &TempDir) -> Signer {
    load(&config(folder, SigningAlgorithm::Es256)).unwrap()
}

fn jwks(signer: &Signer) -> Vec<Value> {
    let mut set: Value = serde_json::from_slice(&signer.jwks().unwrap()).unwrap();
    serde_json::from_value(set["keys"].take()).unwrap()
}

fn kids(signer: &Signer) -> Vec<String> {
    jwks(signer).iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text.as_str().unwrap()).unwrap()
}

/// Splits an answer into its text without the signature, and the signature.
fn split(text: &[u8]) -> (String, String) {
    let text = str::from_utf8(text).unwrap();
    let (rest, signature) = text.rsplit_once("\"signature\":\"").unwrap();
    (format!("{}}}", rest.trim_end_matches(',')), signature.strip_suffix("\"}").unwrap().to_owned())
}

/// Returns whether `signature` is a signature of `payload` by one of the keys in `jwks`.
fn holds(jwks: &[Value], payload: &str, signature: &str) -> bool {
    let parts: Vec<&str> = signature.split('.').collect();
    let [header, between, signature] = parts[..] else { panic!("{parts:?}") };
    let encoded = URL_SAFE_NO_PAD.encode_to_string(payload);
    assert!(between.is_empty() || between == encoded, "another payload is attached");
    let fields: Value = serde_json::from_slice(&decode(&header.into())).unwrap();
    let Some(key) = jwks.iter().find(|key| key["kid"] == fields["kid"]) else {
        return false;
    };
    assert_eq!(fields, json!({"alg": key["alg"], "kid": key["kid"]}));
    let (input, signature) = (format!("{header}.{encoded}"), decode(&signature.into()));
    if key["kty"] == "EC" {
        let point = [&[4][..], &decode(&key["x"]), &decode(&key["y"])].concat();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        return public.verify(input.as_bytes(), &signature).is_ok();
    }
    RsaPublicKeyComponents { n: decode(&key["n"]), e: decode(&key["e"]) }
        .verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &signature)
        .is_ok()
}

#[derive(Serialize)]
struct Point {
    x1: f32,
    far: f64,
}

#[test]
fn the_signature_is_the_last_member_and_the_payload_is_all_the_rest() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let folder = TempDir::new().unwrap();
        let signer = load(&config(&folder, algorithm)).unwrap();
        let point = Point { x1: 581.0, far: 2.865_047_561_675_269_4e-11 };
        signs(&signer, &point, r#"{"x1":581,"far":2.8650475616752694e-11}"#);
        let text = json!({"in": {"b": 1e-15}, "name": "Zoë\u{2028}\"\\\u{1}"});
        signs(&signer, &text, "{\"in\":{\"b\":1e-15},\"name\":\"Zoë\u{2028}\\\"\\\\\\u0001\"}");
        signs(&signer, &json!({}), "{}");
    }
}

fn signs(signer: &Signer, value: &impl Serialize, text: &str) {
    let keys = jwks(signer);
    let (payload, attached) = split(&signer.signed(value).unwrap());
    assert_eq!(payload, text);
    assert!(holds(&keys, text, &attached));

    let (payload, detached) = split(&signer.detached(value).unwrap());
    assert_eq!(payload, text);
    assert!(detached.contains("..") && holds(&keys, text, &detached));
    assert!(!holds(&keys, &text.replace('{', "{ "), &detached));
}

#[test]
fn each_element_of_a_list_is_signed() {
    let folder = TempDir::new().unwrap();
    let signer = signer(&folder);
    assert_eq!(signer.signed_list(&[] as &[Value]).unwrap(), b"[]");
    let values = [json!({"score": 1.0}), json!({"score": 2.5})];
    let list: Vec<Value> = serde_json::from_slice(&signer.signed_list(&values).unwrap()).unwrap();
    assert_eq!(list.len(), 2);
    for (element, text) in list.iter().zip([r#"{"score":1}"#, r#"{"score":2.5}"#]) {
        assert!(holds(&jwks(&signer), text, element["signature"].as_str().unwrap()));
    }
}

#[test]
fn only_objects_are_signed() {
    let folder = TempDir::new().unwrap();
    for value in [json!([1]), json!(1), json!("{"), json!(null)] {
        assert!(matches!(signer(&folder).signed(&value), Err(SignError::NotAnObject)), "{value}");
    }
}

#[test]
fn the_first_start_makes_a_key_and_the_second_finds_it() {
    let folder = TempDir::new().unwrap();
    let first = kids(&signer(&folder));
    assert_eq!(first.len(), 1);
    assert_eq!(kids(&signer(&folder)), first);
    let mode = fs::metadata(folder.path().join("signing.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn gateways_that_start_together_agree() {
    let folder = TempDir::new().unwrap();
    let all: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| kids(&signer(&folder)))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(all.iter().all(|kids| *kids == all[0] && kids.len() == 1), "{all:?}");
}

#[test]
fn a_rotated_key_is_published_first_and_signs_later_and_what_the_old_one_signed_still_holds() {
    let folder = TempDir::new().unwrap();
    let signer = signer(&folder);
    let file = KeyFile::of(&config(&folder, SigningAlgorithm::Es256));
    let old = kids(&signer);
    let (payload, before) = split(&signer.signed(&json!({"a": 1})).unwrap());

    file.rotate(OffsetDateTime::now_utc() + ANNOUNCEMENT).unwrap();
    assert_eq!(kids(&signer), old, "it has not polled yet");
    poll(&signer);
    let announced = kids(&signer);
    assert_eq!((announced.len(), &announced[0]), (2, &old[0]));
    assert_eq!(signer.keys.current().active(OffsetDateTime::now_utc()).kid(), old[0]);
    let later = OffsetDateTime::now_utc() + ANNOUNCEMENT;
    assert_eq!(signer.keys.current().active(later).kid(), announced[1]);

    // The new key signs at once.
    file.rotate(OffsetDateTime::now_utc()).unwrap();
    poll(&signer);
    let (_, after) = split(&signer.signed(&json!({"a": 1})).unwrap());
    let keys = jwks(&signer);
    assert_eq!(keys.len(), 3);
    for signature in [&before, &after] {
        assert!(holds(&keys, &payload, signature));
    }
    assert!(!old.contains(&kids(&signer)[0]));
    assert!(holds(&keys[..1], &payload, &after) && !holds(&keys[..1], &payload, &before));
    assert_eq!(signer.certificates().matches("BEGIN CERTIFICATE").count(), 3);
}

#[test]
fn a_broken_file_leaves_the_keys_as_they_were() {
    let folder = TempDir::new().unwrap();
    let signer = signer(&folder);
    let path = folder.path().join("signing.toml");
    let (good, before) = (fs::read_to_string(&path).unwrap(), kids(&signer));
    for broken in ["", "keys = 1", &good[..good.len() / 2], &good.replace("BEGIN PRIVATE", "BEGIN")] {
        fs::write(&path, broken).unwrap();
        poll(&signer);
        assert_eq!(kids(&signer), before);
    }
    fs::remove_file(&path).unwrap();
    poll(&signer);
    assert_eq!(kids(&signer), before);
    let file = KeyFile::of(&config(&folder, SigningAlgorithm::Es256));
    file.rotate(OffsetDateTime::now_utc()).unwrap();
    poll(&signer);
    assert_ne!(kids(&signer), before);
}

#[test]
fn no_error_shows_a_key() {
    let folder = TempDir::new().unwrap();
    signer(&folder);
    let path = folder.path().join("signing.toml");
    let good = fs::read_to_string(&path).unwrap();
    let secret = good.lines().skip_while(|line| !line.contains("BEGIN PRIVATE")).nth(1).unwrap();
    for broken in [
        good.replace("private_key", "private"),
        good.replace("BEGIN PRIVATE", "BEGIN"),
        good.replace("\"\"\"", ""),
    ] {
        fs::write(&path, &broken).unwrap();
        let error = load(&config(&folder, SigningAlgorithm::Es256)).err().unwrap();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("signing.toml") && !shown.contains(&secret[..16]), "{shown}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken, "a broken file was written over");
    }
}

#[test]
fn another_algorithm_gets_a_key_of_its_own_beside_the_others() {
    let folder = TempDir::new().unwrap();
    let elliptic = kids(&signer(&folder));
    let signer = load(&config(&folder, SigningAlgorithm::Rs256)).unwrap();
    let keys = jwks(&signer);
    let shown: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(shown, ["RS256", "ES256"]);
    assert_eq!(keys[1]["kid"], *elliptic[0]);
    let back = load(&config(&folder, SigningAlgorithm::Es256)).unwrap();
    assert_eq!(kids(&back)[0], elliptic[0], "the old key is still good");
}

#[test]
fn a_named_file_is_not_ours_to_fill() {
    let folder = TempDir::new().unwrap();
    let mut named = config(&folder, SigningAlgorithm::Es256);
    named.signing.file = Some(folder.path().join("named.toml"));
    let refused = |config: &Settings| load(config).err().unwrap();
    assert!(matches!(refused(&named), SigningError::File(error) if error.is_missing()));

    // The command creates the file.
    KeyFile::of(&named).rotate(OffsetDateTime::now_utc() + ANNOUNCEMENT).unwrap();
    assert_eq!(kids(&load(&named).unwrap()).len(), 1);
    named.signing.algorithm = SigningAlgorithm::Rs256;
    let error = refused(&named);
    assert!(matches!(error, SigningError::NoKey { .. }) && error.to_string().contains("RS256"), "{error}");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = TempDir::new().unwrap();
    signer(&folder);
    let path = folder.path().join("signing.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = load(&config(&folder, SigningAlgorithm::Es256)).err().unwrap();
    assert!(matches!(error, SigningError::File(SecretFileError::Readable(_))), "{error}");
}

#[test]
fn the_command_shows_what_each_key_does() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, SigningAlgorithm::Es256);
    let run = |command: SigningCommand| {
        let mut out = Vec::new();
        command.run(&config, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(run(SigningCommand::Rotate { now: false }), ["active"], "the first key need not wait");
    assert_eq!(run(SigningCommand::Rotate { now: false }), ["active", "next"]);
    assert_eq!(run(SigningCommand::Rotate { now: true }), ["active", "next", "retired"]);
    assert_eq!(run(SigningCommand::List), ["active", "next", "retired"]);
}
