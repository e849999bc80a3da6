//! The OpenAPI description: a test checks the service against it, and another uses its page in a browser.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::browser::drive;
use crate::client::{picture, tool};
use crate::process::{ExclusiveRun, Process};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/openapi");
/// Folder with test vectors, from which the script learns the encryption of uploads.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/testdata/replay");
const CONFORMANCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/conformance.py");

/// Number of cases in `make test`; `make conformance` sets a higher one.
const CASES: &str = "600";

/// Pictures with one face each.
const PICTURES: [&str; 4] = ["obama.jpg", "obama2.jpg", "biden.jpg", "astronaut.png"];

/// The hash of the password `demo`, which all users have.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JsGMAy5peW7p/CCBXhSwQA$BYjvNOxwrBO2ogqt5hp2gxX4WLKBwzaHYREpAyaEnMw";

/// Accounts with the keys of the script, each as an API key and as a user.
fn accounts(folder: &Path) -> PathBuf {
    let everything = "['capabilities:read', 'faces:create', 'faces:read', 'faces:delete', 'match', 'ages:create', \
                      'liveness:detect', 'sessions:create', 'sessions:read', 'sessions:delete', 'replays:create', 'replays:read', \
                      'replays:upload']";
    let mut text = String::new();
    let mut client = |name: &str, keys: &[(&str, &str, u32)]| {
        writeln!(text, "[[clients]]\nname = '{name}'").unwrap();
        for (key, permissions, rate) in keys {
            let digest = sha256(key);
            let secrets = [
                ("api-key", format!("api_key_sha256 = '{digest}'")),
                ("basic", format!("basic = {{ user = '{key}', password_argon2id = '{PASSWORD}' }}")),
            ];
            for (kind, secret) in secrets {
                writeln!(
                    text,
                    "[[clients.keys]]\nid = '{key}-{kind}'\nsecret = {{ {secret} }}\n\
                     permissions = {permissions}\nrequests_per_second = {rate}\nburst = {rate}"
                )
                .unwrap();
            }
        }
    };
    client("one", &[("all", everything, 1000), ("nothing", "[]", 1000), ("slow", everything, 1)]);
    client("two", &[("other", everything, 1000)]);
    let file = folder.join("accounts.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn conformance_of_the_service_to_its_description() {
    let _exclusive = ExclusiveRun::begin().await;
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let accounts = accounts(folder.path());
    let accounts = ("accounts.file", accounts.to_str().unwrap());
    // Each operation is called with a wrong key, so the limit on failed logins must be high.
    let failures = ("limits.failed_logins", "1000");
    let settings = [("data_dir", folder.path().to_str().unwrap()), accounts, failures];
    let mut faceline = Process::start("faceline", &settings).await;
    // No program listens on port 1.
    let isolated = [
        ("data_dir", elsewhere.path().to_str().unwrap()),
        ("broker.url", "amqp://127.0.0.1:1"),
        ("store.url", "redis://127.0.0.1:1"),
        accounts,
        failures,
    ];
    let mut isolated = Process::spawn("faceline-gateway", &isolated);
    let cases = std::env::var("CASES").unwrap_or_else(|_| CASES.to_owned());
    // In `make test` the cases are the same each time, which makes failures reproducible.
    let seed = if cases == CASES { 1 } else { std::process::id() };
    let mut command = Command::new("python3");
    let modules = std::env::join_paths([tool("schemathesis"), tool("jwcrypto"), VECTORS.into()]).unwrap();
    command.env("PYTHONPATH", modules).env("PYTHONDONTWRITEBYTECODE", "1").arg(CONFORMANCE);
    command.args([&faceline.url().await, &isolated.url().await, &cases, &seed.to_string()]);
    command.args(PICTURES.map(picture)).kill_on_drop(true).current_dir(folder.path());
    let output = if cases == CASES {
        command.output().await.unwrap()
    } else {
        // If a person runs the test, it shows the output.
        command
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
            .wait_with_output()
            .await
            .unwrap()
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[tokio::test]
async fn operations_can_be_tried_in_a_browser() {
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await;
    let (url, portrait, screenshot) =
        (faceline.url().await, picture("obama.jpg"), folder.path().join("page.png"));
    let arguments = [url.as_ref(), portrait.as_os_str(), screenshot.as_os_str()];
    let seen = drive(&Path::new(SOURCE).join("page.mjs"), &arguments).await;
    assert_eq!(seen["capabilities"]["status"], "200", "{seen}");
    assert_eq!(seen["capabilities"]["body"]["version"], env!("CARGO_PKG_VERSION"), "{seen}");
    assert_eq!(seen["face"]["status"], "200", "{seen}");
    assert!(seen["face"]["body"]["template"].is_string(), "{seen}");
    assert!(seen["face"]["body"]["quality"].as_i64().unwrap() > 100, "{seen}");
    assert_eq!(seen["wrong"], "401", "{seen}");
    assert_eq!(seen["browserErrors"], Value::Array(Vec::new()), "{seen}");
}
