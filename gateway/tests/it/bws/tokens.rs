//! Tokens in requests. The parser's unit tests cover their content.

use aws_lc_rs::hmac;
use clap::Parser;
use faceline_gateway::accounts::KeysCommand;
use faceline_shared::keys::Keys;
use faceline_shared::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use super::{
    CALL_DETECT, DEMO_KEY, DETECT, authorization, call_as_demo, detection, framed, json_of, now, refused,
    signed, token,
};
use crate::client::{Answer, send};
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

/// HTTP and gRPC status of a request with this `Authorization`.
async fn shown(gateway: &Gateway, authorization: &str) -> (u16, Code) {
    let answer = ask(gateway, &[("Authorization", authorization)]).await;
    let headers = [("authorization", authorization)];
    let call = call_as_demo(gateway, CALL_DETECT, &headers, framed(&detection(&["one"]))).await;
    if answer.status != 200 {
        assert_eq!(refused(&answer).1, call.grpc().code() as u64);
    }
    (answer.status, call.grpc().code())
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    let headers = [headers, &[("Content-Type", "application/json")]].concat();
    send(gateway.address, &format!("POST {DETECT}"), &headers, json_of(&["one"]).to_string().as_bytes()).await
}

const TAKEN: (u16, Code) = (200, Code::Ok);
const REFUSED: (u16, Code) = (401, Code::Unauthenticated);

#[tokio::test]
async fn only_a_good_token_is_taken() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.failed_logins = 1000).await;
    assert_eq!(shown(&gateway, &authorization()).await, TAKEN);
    assert_eq!(shown(&gateway, &authorization().replace("Bearer", "bearer")).await, TAKEN);
    let header = json!({"alg": "HS512", "typ": "JWT"});
    let claims = |change: &Value| {
        let mut claims = json!({"sub": "demo", "aud": "BWS", "exp": now() + 600});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    };
    let with = |change: &Value| format!("Bearer {}", signed(&header, &claims(change), DEMO_KEY));
    assert_eq!(shown(&gateway, &with(&json!({"exp": now() - 30, "nbf": now() + 30}))).await, TAKEN);
    for change in [
        json!({"exp": now() - 90}),
        json!({"nbf": now() + 90}),
        json!({"iat": now() + 90}),
        json!({"aud": "other"}),
        json!({"sub": "nobody"}),
        json!({"padding": "x".repeat(9000)}),
    ] {
        assert_eq!(shown(&gateway, &with(&change)).await, REFUSED, "{change}");
    }
    for alg in ["none", "None", "RS256", "ES512"] {
        let token = signed(&json!({"alg": alg}), &claims(&json!({})), DEMO_KEY);
        assert_eq!(shown(&gateway, &format!("Bearer {token}")).await, REFUSED, "{alg}");
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert_eq!(shown(&gateway, &format!("Bearer {unsigned}")).await, REFUSED, "{alg}");
    }
    let good = token("demo", DEMO_KEY);
    for authorization in
        ["", "Bearer", "Bearer ", "Bearer x", &good, &format!("Basic {good}"), &format!("Bearer {good} x")]
    {
        assert_eq!(shown(&gateway, authorization).await, REFUSED, "{authorization}");
    }
    assert_eq!(refused(&ask(&gateway, &[("apikey", "demo")]).await).0, 401);
    let twice = [("Authorization", authorization()), ("Authorization", authorization())];
    let twice = twice.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(refused(&ask(&gateway, &twice).await).0, 401);
}

/// HS512 requires 64 bytes (RFC 7518, 3.2), and libraries refuse shorter keys.
#[tokio::test]
async fn the_demo_key_of_the_documents_is_long_enough_for_each_algorithm() {
    let documents = [include_str!("../../../../README.md"), include_str!("../../../api/accounts.md")];
    let shown = "ZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYWNrLW9ubHktZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYQ==";
    assert!(documents.iter().all(|document| document.contains(shown)));
    let key = base64_simd::STANDARD.decode_to_vec(shown).unwrap();
    assert_eq!((key.len(), key.as_slice()), (64, DEMO_KEY));
    let gateway = Gateway::start(Workers::able()).await;
    for (name, algorithm) in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        let part = |value: Value| base64_simd::URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        let claims = json!({"sub": "demo", "aud": "BWS", "exp": now() + 600});
        let text = format!("{}.{}", part(json!({"alg": name, "typ": "JWT"})), part(claims));
        let mac = hmac::sign(&hmac::Key::new(algorithm, &key), text.as_bytes());
        let token = format!("Bearer {text}.{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(mac));
        assert_eq!(self::shown(&gateway, &token).await, TAKEN, "{name}");
    }
}

#[tokio::test]
async fn who_tries_tokens_is_not_listened_to_for_a_while() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.failed_logins = 2).await;
    assert_eq!(shown(&gateway, "Bearer x.y.z").await, REFUSED);
    assert_eq!(shown(&gateway, "Bearer x.y.z").await, (429, Code::ResourceExhausted));
    assert_eq!(shown(&gateway, &authorization()).await, TAKEN);
    let nothing = ask(&gateway, &[]).await;
    assert_eq!(refused(&nothing), (401, 16, "authentication is required".into()), "that was no attempt");
}

/// Runs `faceline keys …`, and returns the BWS key that it shows.
fn keys(config: &Settings, arguments: &str) -> Option<Vec<u8>> {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: KeysCommand,
    }
    let line = Line::try_parse_from(std::iter::once("keys").chain(arguments.split(' '))).unwrap();
    let mut out = Vec::new();
    line.command.run(config, &mut std::io::empty(), &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let shown = out.lines().find_map(|line| line.strip_prefix("bws key"));
    shown.map(|secret| base64_simd::STANDARD.decode_to_vec(secret.trim()).unwrap())
}

#[tokio::test]
async fn a_client_changes_its_key_without_a_gap() {
    let folder = TempDir::new().unwrap();
    let mut config = Settings { data_dir: folder.path().join("data"), ..Settings::default() };
    config.accounts.file = Some(folder.path().join("accounts.toml"));
    Keys::load(&config).unwrap();
    let old = keys(&config, "add --client bank --kind bws --id old --permissions liveness:detect").unwrap();
    let file = std::fs::read_to_string(config.data_dir.join("keys.toml")).unwrap();
    let file: toml::Table = toml::from_str(&file).unwrap();
    let stores = Stores { data_keys: file["data"].clone().try_into().unwrap(), ..Stores::new() };
    let gateway = Gateway::over(stores, Workers::able(), |own| {
        own.accounts = config.accounts.clone();
        // Requests that arrive before the gateway knows the key count as failed attempts.
        own.limits.failed_logins = 100_000;
    })
    .await;
    let bearer = |key: &[u8]| format!("Bearer {}", token("bank", key));
    let shown = async |key: &[u8]| shown(&gateway, &bearer(key)).await;
    // Only one request at a time while the gateway reads a change. Of two concurrent requests, one could arrive
    // before the change and the other after it.
    let status = async |key: &[u8]| ask(&gateway, &[("Authorization", &bearer(key))]).await.status;
    assert_eq!(shown(&old).await, TAKEN);

    let new = keys(&config, "add --client bank --kind bws --id new --permissions liveness:detect").unwrap();
    gateway.until(async || status(&new).await == TAKEN.0).await;
    assert_eq!(shown(&new).await, TAKEN);
    assert_eq!(shown(&old).await, TAKEN);
    keys(&config, "revoke old");
    gateway.until(async || status(&old).await == REFUSED.0).await;
    assert_eq!(shown(&old).await, REFUSED);
    assert_eq!(shown(&new).await, TAKEN);
}
