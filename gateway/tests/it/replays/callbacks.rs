//! Callbacks: their time, their receivers, and the signatures that receivers verify.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64_simd::STANDARD;
use clap::Parser;
use faceline_gateway::accounts::KeysCommand;
use faceline_gateway_store::outbox::Lane;
use faceline_shared::job::replay::{SpoofReason, Verdict};
use faceline_shared::settings::Settings;
use uuid::Uuid;

use super::fixture::{VideoWorker, depth, ended, gateway, judged, local, submit, submit_as, until_counted};
use super::receiver::{Received, Receiver, Reply};
use crate::client::{delete, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

/// Ends the replay of a new session that calls `receiver`.
async fn end_replay(gateway: &Gateway, worker: &mut VideoWorker, receiver: &Receiver, ttl: u64) -> Uuid {
    let session = gateway.session(&receiver.session(ttl)).await;
    submit(gateway, session).await;
    worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Loop), None)).await;
    ended(gateway, session).await;
    session
}

#[tokio::test]
async fn a_callback_is_sent_until_it_is_accepted_with_the_same_id() {
    let trap = Receiver::able().await;
    let elsewhere = trap.url();
    let replies = move |count| match count {
        0 => Reply::Status(500),
        1 => Reply::Redirect(elsewhere.clone()),
        2 => Reply::Status(404),
        _ => Reply::Status(204),
    };
    let receiver = Receiver::start(replies).await;
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    end_replay(&gateway, &mut worker, &receiver, 600).await;
    let received = receiver.until(4).await;
    let ids: BTreeSet<_> = received.iter().map(|callback| &callback.headers["webhook-id"]).collect();
    assert_eq!(ids.len(), 1, "{received:?}");
    assert!(received.iter().all(|callback| !callback.headers.contains_key("webhook-signature")));
    gateway.until(async || depth(&gateway, Lane::Callbacks).await == 0).await;
    assert!(trap.received().is_empty(), "a redirect was followed");
    for (outcome, count) in [("status", 2), ("redirect", 1), ("delivered", 1)] {
        let line = format!(r#"faceline_callbacks_total{{outcome="{outcome}"}} {count}"#);
        super::fixture::counted(&gateway, &line);
    }
}

#[tokio::test]
async fn private_addresses_are_not_called_unless_they_are_allowed() {
    let receiver = Receiver::able().await;
    let gateway = Gateway::start(Workers::able()).await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    end_replay(&gateway, &mut worker, &receiver, 600).await;
    until_counted(&gateway, r#"faceline_callbacks_total{outcome="address"} 2"#).await;
    assert!(receiver.received().is_empty());
    assert_eq!(depth(&gateway, Lane::Callbacks).await, 1);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_delays_no_others() {
    let slow = Receiver::start(|_| Reply::Silence).await;
    let quick = Receiver::able().await;
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.callbacks.timeout = Duration::from_secs(20);
    })
    .await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    for _ in 0..40 {
        let session = gateway.session(&slow.session(600)).await;
        submit(&gateway, session).await;
    }
    for _ in 0..40 {
        worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Loop), None)).await;
    }
    slow.until(16).await;
    let asked = std::time::Instant::now();
    end_replay(&gateway, &mut worker, &quick, 600).await;
    quick.until(1).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(slow.received().len(), 16, "more at the same time than one host may have");
}

#[tokio::test]
async fn the_callback_of_a_deleted_session_is_dropped() {
    let receiver = Receiver::start(|_| Reply::Status(500)).await;
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = end_replay(&gateway, &mut worker, &receiver, 600).await;
    receiver.until(1).await;
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    gateway.until(async || depth(&gateway, Lane::Callbacks).await == 0).await;
    assert_eq!(depth(&gateway, Lane::DeadCallbacks).await, 0);
}

#[derive(Debug, Parser)]
struct KeysProgram {
    #[command(subcommand)]
    command: KeysCommand,
}

fn keys(settings: &Settings, arguments: &[&str]) -> String {
    let program = KeysProgram::parse_from([&["keys"], arguments].concat());
    let mut out = Vec::new();
    program.command.run(settings, &mut std::io::empty(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The value of a line in a command's output.
fn shown<'a>(output: &'a str, name: &str) -> &'a str {
    output.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{output}")).trim()
}

/// Whether one of a callback's signatures is valid for a secret, as a receiver checks it.
fn verifies(callback: &Received, secret: &str) -> bool {
    let header = |name: &str| callback.headers[name].clone();
    let key = STANDARD.decode_to_vec(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let content = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), callback.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode_to_string(tag));
    header("webhook-signature").split(' ').any(|signature| signature == expected)
}

#[tokio::test]
async fn receivers_verify_callbacks_with_their_secrets_and_only_named_hosts_are_called() {
    let stores = Stores::new();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
    settings.accounts.file = Some(folder.path().join("accounts.toml"));
    stores.write_keys(&settings);
    let added = keys(&settings, &["add", "--client", "bank", "--permissions", "sessions:create"]);
    let api_key = shown(&added, "apikey").to_owned();
    let old = shown(&keys(&settings, &["webhook-secret", "--client", "bank"]), "webhook secret").to_owned();
    let new = shown(&keys(&settings, &["webhook-secret", "--client", "bank"]), "webhook secret").to_owned();
    let text = std::fs::read_to_string(folder.path().join("accounts.toml")).unwrap();
    assert!(!text.contains(&old) && !text.contains("whsec_"), "{text}");
    let text = text.replace("name = \"bank\"\n", "name = \"bank\"\ncallback_hosts = [\"127.0.0.1:1\"]\n");
    std::fs::write(folder.path().join("accounts.toml"), text).unwrap();

    let receiver = Receiver::able().await;
    let gateway = Gateway::over(stores, Workers::able(), |config| {
        local(config);
        config.accounts.file = settings.accounts.file.clone();
    })
    .await;
    let create = async || {
        let headers = [("apikey", &*api_key), ("Content-Type", "application/json")];
        send(gateway.address, &format!("POST {SESSIONS}"), &headers, receiver.session(600).as_bytes()).await
    };
    let (status, message) = create().await.error();
    assert_eq!(status, 400);
    assert!(message.contains("callbackURL") && message.contains("not allowed"), "{message}");

    let text = std::fs::read_to_string(folder.path().join("accounts.toml")).unwrap();
    let allowed = text.replace("127.0.0.1:1", &receiver.address.to_string());
    std::fs::write(folder.path().join("accounts.toml"), allowed).unwrap();
    gateway.until(async || create().await.status == 201).await;
    let created = create().await;
    let session: Uuid = created.header("location").unwrap().rsplit_once('/').unwrap().1.parse().unwrap();
    let name = faceline_gateway_store::sessions::SessionName { client: "bank".into(), id: session };
    let mut worker = VideoWorker::start(&gateway.stores).await;
    submit_as(&gateway, &name, |_| ()).await;
    worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Loop), None)).await;
    let callback = receiver.until(1).await.remove(0);
    assert!(verifies(&callback, &new) && verifies(&callback, &old), "{callback:?}");
    let other = Received { body: "{}".into(), ..callback.clone() };
    assert!(!verifies(&other, &new));
    let sent: u64 = callback.headers["webhook-timestamp"].parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(sent) < 60);

    let only = keys(&settings, &["webhook-secret", "--client", "bank", "--replace"]);
    let only = shown(&only, "webhook secret").to_owned();
    gateway
        .until(async || {
            let signatures = gateway.accounts.callbacks("bank").signatures("x", 1, b"");
            signatures.is_some_and(|signatures| !signatures.contains(' '))
        })
        .await;
    assert_ne!(only, new);
}

#[tokio::test]
async fn a_callback_url_with_credentials_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let refused =
        post_json(gateway.address, SESSIONS, r#"{"callbackURL":"https://user:pass@bank.example/"}"#).await;
    let (status, message) = refused.error();
    assert_eq!((status, message.contains("callbackURL")), (400, true), "{message}");
}
