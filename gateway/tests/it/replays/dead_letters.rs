//! Callbacks that no receiver accepts before their session ends, and the operator's commands for them.

use std::time::Duration;

use clap::Parser;
use faceline_gateway::replays::{CallbacksCommand, CallbacksCommandError};
use faceline_gateway_store::outbox::Lane;
use faceline_shared::job::replay::{SpoofReason, Verdict};
use faceline_shared::settings::{BrokerSettings, Settings};
use faceline_shared::testkit::Redis;
use uuid::Uuid;

use super::fixture::{VideoWorker, counted, depth, judged, local, submit, until_counted};
use super::receiver::{Receiver, Reply};
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

#[derive(Debug, Parser)]
struct CallbacksProgram {
    #[command(subcommand)]
    command: CallbacksCommand,
}

/// Runs a command in a separate thread, because it starts its own runtime.
async fn callbacks(settings: &Settings, arguments: &[&str]) -> Result<String, CallbacksCommandError> {
    let program = CallbacksProgram::parse_from([&["callbacks"], arguments].concat());
    let settings = settings.clone();
    let run = move || {
        let mut out = Vec::new();
        program.command.run(&settings, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Makes a callback of a gateway to `receiver` a dead letter.
async fn let_one_die(gateway: &Gateway, receiver: &Receiver) {
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(&receiver.session(3)).await;
    submit(gateway, session).await;
    worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Loop), None)).await;
    receiver.until(1).await;
    gateway.until(async || depth(gateway, Lane::DeadCallbacks).await == 1).await;
    assert_eq!(depth(gateway, Lane::Callbacks).await, 0);
}

#[tokio::test]
async fn a_callback_is_dead_when_its_session_ends_and_an_operator_has_it_sent_again() {
    let redis = Redis::start().await;
    let stores = Stores::new().shared(&redis, &BrokerSettings::default());
    let receiver = Receiver::start(|count| Reply::Status(if count < 6 { 503 } else { 200 })).await;
    let mut settings = Settings { data_dir: stores.folder.path().to_owned(), ..Settings::default() };
    settings.store.url = redis.url().parse().unwrap();
    stores.write_keys(&settings);
    let gateway = Gateway::over(stores.clone(), Workers::able(), local).await;
    let_one_die(&gateway, &receiver).await;
    counted(&gateway, "faceline_callbacks_dead_total 1");
    until_counted(&gateway, r#"faceline_outbox_rows{lane="dead_callbacks"} 1"#).await;
    let attempts = receiver.received().len();
    assert!((2..6).contains(&attempts), "{attempts} attempts in 3 s");

    let listed = callbacks(&settings, &["list"]).await.unwrap();
    let line = listed.lines().nth(1).unwrap();
    let id = receiver.received()[0].headers["webhook-id"].clone();
    assert!(line.starts_with(&id) && line.contains("503") && line.contains(&receiver.url()), "{listed}");
    assert_eq!(callbacks(&settings, &["list", "--waiting"]).await.unwrap().lines().count(), 1);
    let unknown = callbacks(&settings, &["replay", &Uuid::new_v4().to_string()]).await.unwrap_err();
    assert!(matches!(unknown, CallbacksCommandError::NotFound(_)));
    assert_eq!(callbacks(&settings, &["replay", &id]).await.unwrap(), "1 to be sent again\n");
    assert_eq!(callbacks(&settings, &["replay", "--all"]).await.unwrap(), "0 to be sent again\n");

    until_counted(&gateway, r#"faceline_callbacks_total{outcome="delivered"} 1"#).await;
    let received = receiver.received();
    assert!(received.iter().all(|callback| callback.headers["webhook-id"] == id));
    gateway.until(async || depth(&gateway, Lane::Callbacks).await == 0).await;
    assert_eq!(depth(&gateway, Lane::DeadCallbacks).await, 0);
}

#[tokio::test]
async fn a_dead_letter_that_is_not_accepted_again_stays_one() {
    let redis = Redis::start().await;
    let stores = Stores::new().shared(&redis, &BrokerSettings::default());
    let receiver = Receiver::start(|_| Reply::Status(503)).await;
    let mut settings = Settings { data_dir: stores.folder.path().to_owned(), ..Settings::default() };
    settings.store.url = redis.url().parse().unwrap();
    stores.write_keys(&settings);
    let gateway = Gateway::over(stores.clone(), Workers::able(), local).await;
    let_one_die(&gateway, &receiver).await;
    let before = receiver.received().len();
    assert_eq!(callbacks(&settings, &["replay", "--all"]).await.unwrap(), "1 to be sent again\n");
    until_counted(&gateway, "faceline_callbacks_dead_total 2").await;
    assert_eq!(receiver.received().len(), before + 5);
    gateway.until(async || depth(&gateway, Lane::DeadCallbacks).await == 1).await;
}

#[tokio::test]
async fn the_store_of_a_running_program_is_told_from_a_broken_one() {
    let stores = Stores::new();
    let settings = Settings { data_dir: stores.folder.path().to_owned(), ..Settings::default() };
    stores.write_keys(&settings);
    let error = callbacks(&settings, &["list"]).await.unwrap_err();
    assert!(error.to_string().contains("a running program holds its embedded store"), "{error}");
}

#[tokio::test]
async fn dead_letters_are_forgotten_after_their_retention() {
    let receiver = Receiver::start(|_| Reply::Status(500)).await;
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.callbacks.dead_letter_retention = Duration::from_secs(2);
    })
    .await;
    let_one_die(&gateway, &receiver).await;
    gateway.until(async || depth(&gateway, Lane::DeadCallbacks).await == 0).await;
}
