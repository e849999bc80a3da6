//! Accounts that change while the gateway runs, and callers that guess keys.

use clap::Parser;
use faceline_gateway::accounts::KeysCommand;
use faceline_shared::settings::Settings;

use crate::client::{Answer, send};
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

/// A session that does not exist. The answer 404 means that the request was authenticated.
const SESSION: &str = "GET /bioserver-app/v2/bio-sessions/00000000-0000-4000-8000-000000000000";

/// Executes `faceline keys …`, and returns the secret in its output, if any.
fn keys(settings: &Settings, arguments: &str) -> Option<String> {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: KeysCommand,
    }
    let line = Line::try_parse_from(std::iter::once("keys").chain(arguments.split(' '))).unwrap();
    let mut out = Vec::new();
    line.command.run(settings, &mut std::io::empty(), &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let shown = out.lines().find_map(|line| line.strip_prefix("apikey"));
    shown.map(|secret| secret.trim().to_owned())
}

async fn ask(gateway: &Gateway, key: &str) -> Answer {
    send(gateway.address, SESSION, &[("apikey", key)], b"").await
}

/// A gateway with the key `first` of the client `bank`, and that key.
async fn gateway(change: impl FnOnce(&mut Settings)) -> (Gateway, String) {
    let stores = Stores::new();
    let mut settings = Settings::default();
    settings.accounts.file = Some(stores.folder.path().join("accounts.toml"));
    let first = keys(&settings, "add --client bank --id first --permissions sessions:read").unwrap();
    let gateway = Gateway::over(stores, Workers::able(), |own| {
        own.accounts = settings.accounts;
        change(own);
    })
    .await;
    assert_eq!(ask(&gateway, &first).await.status, 404);
    (gateway, first)
}

#[tokio::test]
async fn a_running_gateway_follows_its_accounts() {
    // The test sends wrong keys while it waits for a change, and must not reach the limit on them.
    let (gateway, first) = gateway(|config| config.limits.failed_logins = 100_000).await;
    let added = "add --client shop --id second --permissions sessions:read --requests-per-second 1000";
    let second = keys(&gateway.config, added).unwrap();
    gateway.until(async || ask(&gateway, &second).await.status == 404).await;
    assert_eq!(ask(&gateway, &first).await.status, 404);

    let file = gateway.config.accounts.file.clone().unwrap();
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "clients = 7").unwrap();
    let shows = |line: &str| gateway.metrics.encode().contains(line);
    gateway.until(async || shows("faceline_accounts_reloads_total{outcome=\"refused\"} 1")).await;
    assert!(shows("faceline_accounts_current 0"));
    assert_eq!([ask(&gateway, &first).await.status, ask(&gateway, &second).await.status], [404, 404]);

    let slow = good.replace("requests_per_second = 1000", "requests_per_second = 1");
    assert_ne!(slow, good);
    std::fs::write(&file, slow).unwrap();
    gateway.until(async || shows("faceline_accounts_current 1")).await;
    gateway.until(async || ask(&gateway, &second).await.status == 429).await;

    keys(&gateway.config, "revoke first");
    gateway.until(async || ask(&gateway, &first).await.status == 401).await;
    assert_eq!(ask(&gateway, &first).await.error(), (401, "authentication is required".into()));
}

#[tokio::test]
async fn who_tries_keys_is_not_listened_to_for_a_while_and_others_at_the_address_are() {
    let (gateway, first) = gateway(|config| config.limits.failed_logins = 3).await;
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "guess").await.error(), (401, "authentication is required".into()));
    }
    let refused = ask(&gateway, "guess").await;
    assert_eq!(
        refused.error(),
        (429, "too many wrong credentials came from this address or for this user".into())
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(ask(&gateway, &first).await.status, 404);
    assert_eq!(
        send(gateway.address, SESSION, &[], b"").await.error().0,
        401,
        "no credential is no failed login"
    );
    let counted = r#"faceline_http_refusals_total{cause="failed_logins",operation="get_session"} 1"#;
    assert!(gateway.metrics.encode().contains(counted));
}
