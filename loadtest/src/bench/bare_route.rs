//! A bare axum route: the cost of HTTP with a picture as its body, without any part of Faceline. It is a process of its
//! own, because otherwise its CPU time could not be told from that of the callers.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::Context as _;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use faceline_shared::settings::Settings;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use crate::procfs;

/// The subcommand of this program that serves the route.
const SUBCOMMAND: &str = "bare-route";
const PATH: &str = "/pictures";

/// A process that serves the route. It is killed when this is dropped.
pub(super) struct BareRoute {
    pub(super) url: String,
    process: Child,
}

impl BareRoute {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let url = BufReader::new(output).lines().next_line().await?;
        Ok(Self { url: url.context("the bare route ended at its start")?, process })
    }

    /// CPU time so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        procfs::cpu_seconds(self.process.id().context("the bare route has ended")?)
    }
}

/// Serves the route and prints its URL. Ends when standard input closes, which it does however the parent process ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let read = post(|picture: Bytes| async move { Json(json!({ "bytes": picture.len() })) });
    // The gateway's limit for a picture.
    let limit = DefaultBodyLimit::max(Settings::default().limits.picture_bytes);
    let router = Router::new().route(PATH, read).layer(limit);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "http://{}{PATH}", listener.local_addr()?)?;
    let input_closes = spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        copied = input_closes => {
            copied??;
        }
    }
    Ok(())
}
