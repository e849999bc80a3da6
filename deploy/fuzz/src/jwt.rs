//! Tokens of BWS clients.

use std::io::Cursor;
use std::sync::LazyLock;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use clap::Parser;
use faceline_gateway::accounts::{Accounts, KeysCommand, SourceAddress};
use faceline_shared::keys::Keys;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use serde_json::{Value, json};

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "jwt",
    run: jwt,
    seeds,
    words: &[
        b".",
        b"\"alg\"",
        b"\"HS256\"",
        b"\"HS384\"",
        b"\"HS512\"",
        b"\"none\"",
        b"\"crit\"",
        b"\"sub\"",
        b"\"bank\"",
        b"\"aud\"",
        b"\"BWS\"",
        b"\"exp\"",
        b"\"nbf\"",
        b"\"iat\"",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"null",
        b"1e999",
        b"-1",
        b"99999999999",
        b"\\u0061",
    ],
    is_dotted_base64: true,
    max_allocated_bytes: 4 * MIB,
};

/// The client's key.
const KEY: [u8; 32] = [9; 32];
/// The clock leeway of the service, in seconds.
const CLOCK_LEEWAY: f64 = 60.0;
/// 2100-01-01, in seconds since 1970.
const FAR_AWAY: u64 = 4_102_444_800;

/// Accounts with one client, `bank`, whose key is [`KEY`].
static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| accounts().expect("accounts can be made"));

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: KeysCommand,
}

fn accounts() -> anyhow::Result<Accounts> {
    let folder = tempfile::tempdir()?;
    let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
    settings.accounts.file = Some(folder.path().join("accounts.toml"));
    let keys = Keys::load(&settings)?;
    let arguments = "keys add --client bank --kind bws --permissions liveness:detect --secret-stdin";
    let secret = base64_simd::STANDARD.encode_to_string(KEY);
    Line::try_parse_from(arguments.split(' '))?.command.run(
        &settings,
        &mut Cursor::new(secret),
        &mut Vec::new(),
    )?;
    Ok(Accounts::load(&settings, &keys.data, &Metrics::new())?)
}

/// Authenticates the bytes as a token, and then a token that the client has signed: the bytes up to the first dot are
/// its header, the others its claims.
///
/// # Panics
/// An accepted token is not signed, or another JSON reader reads other claims from it.
pub fn jwt(data: &[u8]) {
    if is_accepted(data) {
        assert_signed(data);
    }
    let at = memchr::memchr(b'.', data);
    let (header, claims) = at.map_or((&br#"{"alg":"HS256"}"#[..], data), |at| (&data[..at], &data[at + 1..]));
    for algorithm in [hmac::HMAC_SHA256, hmac::HMAC_SHA512] {
        let token = signed(algorithm, header, claims);
        if is_accepted(token.as_bytes()) {
            assert_signed(token.as_bytes());
            assert_claims(header, claims);
        }
    }
}

fn is_accepted(token: &[u8]) -> bool {
    ACCOUNTS.by_token(Some(token), SourceAddress::default()).is_ok()
}

fn signed(algorithm: hmac::Algorithm, header: &[u8], claims: &[u8]) -> String {
    let text =
        format!("{}.{}", URL_SAFE_NO_PAD.encode_to_string(header), URL_SAFE_NO_PAD.encode_to_string(claims));
    let mac = hmac::sign(&hmac::Key::new(algorithm, &KEY), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(mac))
}

/// Asserts that the last part is the HMAC of the text before it. The length of the last part determines the algorithm.
fn assert_signed(token: &[u8]) {
    let at = memchr::memrchr(b'.', token).expect("an accepted token has a signature");
    let mac = URL_SAFE_NO_PAD.decode_to_vec(&token[at + 1..]).expect("an accepted signature is base64url");
    let algorithm = match mac.len() {
        32 => hmac::HMAC_SHA256,
        48 => hmac::HMAC_SHA384,
        64 => hmac::HMAC_SHA512,
        other => panic!("a signature of {other} bytes is accepted"),
    };
    hmac::verify(&hmac::Key::new(algorithm, &KEY), &token[..at], &mac).expect("an accepted token is signed");
}

/// Asserts that a general JSON reader finds the values that the service must have found.
fn assert_claims(header: &[u8], claims: &[u8]) {
    // A member that the service ignores may hold text that a strict reader refuses, such as a lone surrogate.
    let read = |json| serde_json::from_slice::<Value>(json).ok();
    let (Some(header), Some(claims)) = (read(header), read(claims)) else { return };
    let algorithm = header["alg"].as_str();
    assert!(matches!(algorithm, Some("HS256" | "HS384" | "HS512")), "{header}");
    assert!(header["crit"].is_null(), "{header}");
    let is_ours = |audience: &Value| audience.as_str().is_some_and(|name| name.eq_ignore_ascii_case("BWS"));
    let audience = &claims["aud"];
    assert!(
        is_ours(audience) || audience.as_array().is_some_and(|names| names.iter().any(is_ours)),
        "{claims}"
    );
    assert_eq!(claims["sub"], json!("bank"));
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs_f64();
    assert!(claims["exp"].as_f64().is_some_and(|end| now < end + CLOCK_LEEWAY + 1.0), "{claims}");
    for name in ["nbf", "iat"] {
        let begin = &claims[name];
        assert!(
            begin.is_null() || begin.as_f64().is_some_and(|begin| begin <= now + CLOCK_LEEWAY + 1.0),
            "{claims}"
        );
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let headers = [r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"alg":"HS512"}"#];
    let claims = [
        json!({"sub": "bank", "aud": "BWS", "exp": FAR_AWAY}),
        json!({"sub": "bank", "iss": "bank", "aud": ["x", "bws"], "exp": FAR_AWAY, "nbf": 0, "iat": 1}),
        json!({"sub": "bank", "aud": "BWS", "exp": 1}),
    ];
    let mut seeds = Vec::new();
    for (header, algorithm) in headers.into_iter().zip([hmac::HMAC_SHA256, hmac::HMAC_SHA512]) {
        for claims in &claims {
            let claims = claims.to_string();
            seeds.push(signed(algorithm, header.as_bytes(), claims.as_bytes()).into_bytes());
            seeds.push(format!("{header}.{claims}").into_bytes());
        }
    }
    seeds
}
