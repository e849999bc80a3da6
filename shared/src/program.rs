//! The frame of every server program: arguments, settings, log, signals, operators' listener, exit code.

use std::fmt::Display;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args as _, FromArgMatches as _};

use crate::admin::Admin;
use crate::services::SharedServices;
use crate::settings::{EXIT_BAD_SETTINGS, Settings, SettingsError, Sources};
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
    pub fn run<F, E>(self, role: impl FnOnce(SharedServices, CancellationToken) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        match self.settings(&self.arguments().get_matches()) {
            Ok(config) => self.start(config, role),
            Err(error) => self.refuse(&error),
        }
    }

    /// As [`Program::run`]; where the arguments name one of the commands `C`, `command` does that instead.
    ///
    /// A command's exit code is 0, 64 for wrong settings, 1 where it fails.
    pub fn run_or<C, D, F, E>(
        self,
        command: impl FnOnce(C, &Settings) -> Result<(), D>,
        role: impl FnOnce(SharedServices, CancellationToken) -> F,
    ) -> ExitCode
    where
        C: clap::Subcommand,
        D: Display,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let arguments = C::augment_subcommands(self.arguments()).subcommand_required(false);
        let matches = arguments.arg_required_else_help(false).get_matches();
        let config = match self.settings(&matches) {
            Ok(config) => config,
            Err(error) => return self.refuse(&error),
        };
        if matches.subcommand_name().is_none() {
            return self.start(config, role);
        }
        let done = match C::from_arg_matches(&matches) {
            Ok(named) => command(named, &config),
            Err(error) => error.exit(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                self.say(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn arguments(&self) -> clap::Command {
        Sources::augment_args(
            clap::Command::new(self.name).about(self.about).version(env!("CARGO_PKG_VERSION")),
        )
    }

    fn settings(&self, matches: &clap::ArgMatches) -> Result<Settings, SettingsError> {
        match Sources::from_arg_matches(matches) {
            Ok(sources) => Settings::load(&sources),
            Err(error) => error.exit(),
        }
    }

    fn start<F, E>(
        self,
        config: Settings,
        role: impl FnOnce(SharedServices, CancellationToken) -> F,
    ) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        if let Err(error) = init_logging(&config.log) {
            return self.refuse(&error);
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(&error),
        };
        runtime.block_on(self.serve(config, role))
    }

    async fn serve<F, E>(
        self,
        config: Settings,
        role: impl FnOnce(SharedServices, CancellationToken) -> F,
    ) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let shutdown = match shutdown::on_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return self.fail(&error),
        };
        let services = match SharedServices::open(config) {
            Ok(services) => services,
            Err(error) => return self.fail(&error),
        };
        // It answers until the very end: a process that drains is alive, and not ready.
        let admin_shutdown = CancellationToken::new();
        let _stop_admin = admin_shutdown.clone().drop_guard();
        let admin = Admin { readiness: services.readiness.clone(), metrics: services.metrics.clone() };
        let listen = services.settings.admin.listen.unwrap_or(self.admin);
        match admin.serve(listen, admin_shutdown).await {
            Ok(address) => tracing::info!(%address, "operators' listener is open"),
            Err(error) => return self.fail(&format!("admin.listen {listen}: {error}")),
        }
        let readiness = services.readiness.clone();
        tokio::spawn(async move {
            readiness.ready().await;
            tracing::info!("ready");
        });
        let broker = services.broker.clone();
        let ended = role(services, shutdown).await;
        broker.close().await;
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => self.fail(&error),
        }
    }

    fn refuse(&self, error: &dyn Display) -> ExitCode {
        self.say(error);
        ExitCode::from(EXIT_BAD_SETTINGS)
    }

    /// For everything before there is a log.
    fn say(&self, error: &dyn Display) {
        let _ = writeln!(std::io::stderr(), "{}: {error}", self.name);
    }

    fn fail(&self, error: &dyn Display) -> ExitCode {
        tracing::error!("{error}");
        ExitCode::FAILURE
    }
}
