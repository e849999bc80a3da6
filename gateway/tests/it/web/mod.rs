//! Pages, scripts, network measurements and sessions of the demonstration, for browsers.

mod demo;
mod files;
mod network;
mod origins;

use crate::client::{Answer, send};
use crate::gateway::Gateway;
use crate::workers::Workers;

/// A gateway with an accounts file, which disables the demonstration.
async fn with_accounts(
    change: impl FnOnce(&mut faceline_shared::settings::Settings),
) -> (Gateway, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("accounts.toml");
    std::fs::write(&file, "").unwrap();
    let gateway = Gateway::with(Workers::able(), |config| {
        config.accounts.file = Some(file);
        change(config);
    })
    .await;
    (gateway, folder)
}

/// GETs without a key.
async fn get(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(gateway.address, &format!("GET {path}"), headers, b"").await
}
