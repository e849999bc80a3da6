//! The frame of every server program: arguments, settings, log, signals, operators' listener, exit code.

use std::fmt::Display;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args as _, FromArgMatches as _};

use crate::admin::Admin;
use crate::config::{Config, EXIT_BAD_CONFIG, Sources};
use crate::parts::Parts;
use crate::shutdown::{self, CancellationToken};
use crate::telemetry::init_logging;

/// A program's name and what differs between programs.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name of the binary.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Where the operators' listener is, unless the settings say.
    pub admin: SocketAddr,
}

impl Program {
    /// Runs `role` until it ends by itself or by a signal.
    ///
    /// The exit code is 0 after a shutdown, 64 for wrong settings, 1 for anything else that ends a role.
    pub fn run<F, E>(self, role: impl FnOnce(Parts, CancellationToken) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let command = Sources::augment_args(
            clap::Command::new(self.name).about(self.about).version(env!("CARGO_PKG_VERSION")),
        );
        let sources = match Sources::from_arg_matches(&command.get_matches()) {
            Ok(sources) => sources,
            Err(error) => error.exit(),
        };
        let config = match Config::load(&sources) {
            Ok(config) => config,
            Err(error) => return self.refuse(&error),
        };
        if let Err(error) = init_logging(&config.log) {
            return self.refuse(&error);
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(&error),
        };
        runtime.block_on(self.serve(config, role))
    }

    async fn serve<F, E>(self, config: Config, role: impl FnOnce(Parts, CancellationToken) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let shutdown = match shutdown::on_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return self.fail(&error),
        };
        let parts = match Parts::open(config) {
            Ok(parts) => parts,
            Err(error) => return self.fail(&error),
        };
        // It answers until the very end: a process that drains is alive, and not ready.
        let admin_shutdown = CancellationToken::new();
        let _stop_admin = admin_shutdown.clone().drop_guard();
        let admin = Admin { readiness: parts.readiness.clone(), metrics: parts.metrics.clone() };
        let listen = parts.config.admin.listen.unwrap_or(self.admin);
        match admin.serve(listen, admin_shutdown).await {
            Ok(address) => tracing::info!(%address, "operators' listener is open"),
            Err(error) => return self.fail(&format!("admin.listen {listen}: {error}")),
        }
        let readiness = parts.readiness.clone();
        tokio::spawn(async move {
            readiness.ready().await;
            tracing::info!("ready");
        });
        let broker = parts.broker.clone();
        let ended = role(parts, shutdown).await;
        broker.close().await;
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => self.fail(&error),
        }
    }

    /// For everything before there is a log.
    fn refuse(&self, error: &dyn Display) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "{}: {error}", self.name);
        ExitCode::from(EXIT_BAD_CONFIG)
    }

    fn fail(&self, error: &dyn Display) -> ExitCode {
        tracing::error!("{error}");
        ExitCode::FAILURE
    }
}
