//! Signatures, verified as callers do: by the programs in `gateway/api/signatures.md`, in Node.js and in Python.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use faceline_gateway::signing::{KeyFile, MAX_AGE};
use faceline_shared::settings::{Settings, SigningAlgorithm};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::client::{Answer, exchange, get, post, post_json, request};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const DOCUMENT: &str = include_str!("../../../api/signatures.md");
const JWKS: &str = "/.well-known/jwks.json";
const CERTIFICATE: &str = "/.well-known/signing-certificate.pem";
const LONG: Duration = Duration::from_secs(60);

/// Values that other languages print, escape or sort differently.
#[derive(Clone, Serialize)]
struct Awkward {
    zulu: f64,
    alpha: f32,
    rates: [f64; 8],
    count: i64,
    text: &'static str,
    inner: Inner,
    list: Vec<Inner>,
}

#[derive(Clone, Serialize)]
struct Inner {
    b: bool,
    #[serde(rename = "a\u{2028}\"é")]
    a: &'static str,
}

fn awkward() -> Awkward {
    let inner = Inner { b: false, a: "\",\"signature\":\"\\" };
    Awkward {
        zulu: 581.0,
        alpha: 1220.5284,
        rates: [
            1e-15,
            2.865_047_561_675_269_4e-11,
            0.000_001,
            1e-7,
            1e21,
            123_456_789_012_345_680_000.0,
            -0.0,
            0.1,
        ],
        count: -9_007_199_254_740_991,
        text: "Zoë 王秀英 😀 \u{2028}\u{2029}\u{7f}\u{85}\u{feff} \u{0}\u{8}\u{c}\n\r\t\u{1f} / <script> \"\\",
        inner: inner.clone(),
        list: vec![inner],
    }
}

/// The two verifying programs, stored beside the code from the document.
struct Checkers {
    folder: TempDir,
}

impl Checkers {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let block = |language: &str| {
            let (_, rest) = DOCUMENT.split_once(&format!("```{language}\n")).unwrap();
            rest.split_once("```").unwrap().0
        };
        for (name, text) in [
            ("check.mjs", include_str!("check.mjs")),
            ("signatures.mjs", block("javascript")),
            ("check.py", include_str!("check.py")),
            ("signatures.py", block("python")),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// Returns for each body whether its signature is valid by the JWK set, and by the first certificate. Both
    /// programs must agree.
    async fn check(&self, gateway: &Gateway, bodies: &[String]) -> Vec<(bool, bool)> {
        let jwks = published(gateway, JWKS).await.body;
        let pem = published(gateway, CERTIFICATE).await.body;
        let given = json!({"jwks": jwks, "pem": pem, "bodies": bodies}).to_string();
        let node = self.run(Command::new("node").arg("check.mjs"), &given).await;
        // `make test` installs the package there.
        let jwcrypto = Settings::default().models.dir.with_file_name("tools").join("jwcrypto");
        assert!(jwcrypto.is_dir(), "{} is missing; `make test` installs it", jwcrypto.display());
        let python =
            self.run(Command::new("python3").arg("check.py").env("PYTHONPATH", jwcrypto), &given).await;
        assert_eq!(node, python, "node and Python do not agree");
        node
    }

    async fn run(&self, command: &mut Command, given: &str) -> Vec<(bool, bool)> {
        let command = command.current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        child.stdin.take().unwrap().write_all(given.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(LONG, child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Fetches a path without a credential.
async fn published(gateway: &Gateway, path: &str) -> Answer {
    let answer = exchange(gateway.address, &request(&format!("GET {path}"), &[], b"")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn started(algorithm: SigningAlgorithm) -> Gateway {
    Gateway::with(Workers::able(), |config| config.signing.algorithm = algorithm).await
}

/// The same answer in all forms in which it is sent.
fn all_forms(gateway: &Gateway) -> Vec<String> {
    let signer = &gateway.signer;
    let bodies = [
        signer.signed(&awkward()),
        signer.detached(&awkward()),
        signer.signed_list(&[awkward(), awkward()]),
        signer.signed(&json!({})),
        signer.detached(&json!({})),
    ];
    bodies.map(|body| String::from_utf8(body.unwrap()).unwrap()).to_vec()
}

async fn callers_check_what_is_signed_and_notice_what_is_changed(algorithm: SigningAlgorithm) {
    let (gateway, checkers) = (started(algorithm).await, Checkers::new());
    let bodies = all_forms(&gateway);
    assert_eq!(checkers.check(&gateway, &bodies).await, vec![(true, true); bodies.len()]);

    let changed: Vec<String> = bodies[..3]
        .iter()
        .flat_map(|body| [body.replacen("581", "582", 1), body.replacen("false", "true", 1)])
        .collect();
    assert_eq!(checkers.check(&gateway, &changed).await, vec![(false, false); changed.len()]);
}

#[tokio::test]
async fn callers_check_es256() {
    callers_check_what_is_signed_and_notice_what_is_changed(SigningAlgorithm::Es256).await;
}

#[tokio::test]
async fn callers_check_rs256() {
    callers_check_what_is_signed_and_notice_what_is_changed(SigningAlgorithm::Rs256).await;
}

#[tokio::test]
async fn callers_check_faces_that_came_back() {
    let (gateway, checkers) = (started(SigningAlgorithm::Es256).await, Checkers::new());
    let parts = [("imageType", "SELFIE"), ("friendlyName", "Zoë"), ("image", "x")];
    let face = post(gateway.address, "/bioserver-app/v2/faces", &parts).await.body;
    let parts = [("referenceFace", face.as_str()), ("candidateImage", "y"), ("candidateImageType", "SELFIE")];
    let compared = post(gateway.address, "/bioserver-app/v2/match", &parts).await.body;
    let session = gateway.session("").await;
    let added = post_json(gateway.address, &format!("{SESSIONS}/{session}/faces"), &face).await;
    let added = format!("/bioserver-app{}", added.header("location").unwrap());
    gateway.face(session, "z").await;
    let described = get(gateway.address, &added).await.body;
    let matches = get(gateway.address, &format!("{added}/matches")).await.body;
    let bodies = [face, compared, described, matches];
    assert!(bodies.iter().all(|body| body.contains(r#""box":{"x":900,"#)), "{bodies:?}");
    assert_eq!(checkers.check(&gateway, &bodies).await, vec![(true, true); bodies.len()]);
}

#[tokio::test]
async fn a_running_gateway_takes_a_new_key_and_publishes_the_old_one() {
    let (gateway, checkers) = (started(SigningAlgorithm::Es256).await, Checkers::new());
    let before = all_forms(&gateway);
    KeyFile::of(&gateway.config).rotate(OffsetDateTime::now_utc()).unwrap();
    // Nothing signals the change, so the test polls.
    let mut polls = tokio::time::interval(Duration::from_millis(50));
    let changed = async {
        while published(&gateway, JWKS).await.json()["keys"].as_array().unwrap().len() < 2 {
            polls.tick().await;
        }
    };
    tokio::time::timeout(LONG, changed).await.expect("the file is not read again");
    let after = all_forms(&gateway);
    assert_eq!(checkers.check(&gateway, &before).await, vec![(true, false); before.len()]);
    assert_eq!(checkers.check(&gateway, &after).await, vec![(true, true); after.len()]);
}

#[tokio::test]
async fn keys_are_published_for_everybody_and_may_be_kept_for_minutes() {
    let gateway = started(SigningAlgorithm::Rs256).await;
    let cache = format!("public, max-age={}", MAX_AGE.as_secs());
    for (path, kind) in [(JWKS, "application/jwk-set+json"), (CERTIFICATE, "application/x-pem-file")] {
        let answer = published(&gateway, path).await;
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("cache-control"), Some(cache.as_str()));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert!(!answer.body.contains("PRIVATE"));
        let operation = if path == JWKS { "jwks" } else { "signing_certificate" };
        let counted = format!(r#"faceline_http_requests_total{{operation="{operation}",status="200"}} 1"#);
        assert!(gateway.metrics.encode().contains(&counted));
    }
    let key = &published(&gateway, JWKS).await.json()["keys"][0];
    assert_eq!((&key["use"], &key["alg"], &key["kty"]), (&json!("sig"), &json!("RS256"), &json!("RSA")));
    let secret = fs::read_to_string(Path::new(&gateway.config.data_dir).join("signing.toml")).unwrap();
    assert!(secret.contains("PRIVATE"));
}
