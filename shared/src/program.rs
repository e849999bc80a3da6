//! The frame of every server program: arguments, settings, log, signals, operators' listener and exit code.

use std::fmt::Display;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args as _, FromArgMatches as _};

use crate::admin::Admin;
use crate::services::SharedServices;
use crate::settings::{self, EXIT_BAD_SETTINGS, Settings, SettingsError, Sources};
use crate::shutdown::{self, CancellationToken};
use crate::telemetry::init_logging;

/// What differs between the server programs.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name of the binary.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Address of the operators' listener, unless `admin.listen` is set.
    pub admin: SocketAddr,
}

impl Program {
    /// Runs `role` until it ends by itself or by a signal.
    ///
    /// The exit code is 0 after a shutdown, 64 for wrong settings, and 1 if the role fails.
    pub fn run<F, E>(self, role: impl FnOnce(SharedServices, CancellationToken) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        match self.settings(&self.arguments().get_matches()) {
            Ok(settings) => self.start(settings, role),
            Err(error) => self.refuse(&error),
        }
    }

    /// As [`Program::run`], but if the arguments name one of the commands `C`, executes `command` instead.
    ///
    /// The exit code of a command is 0, 64 for wrong settings, and 1 if it fails.
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
        let settings = match self.settings(&matches) {
            Ok(settings) => settings,
            Err(error) => return self.refuse(&error),
        };
        if matches.subcommand_name().is_none() {
            return self.start(settings, role);
        }
        let done = match C::from_arg_matches(&matches) {
            Ok(named) => command(named, &settings),
            Err(error) => error.exit(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                self.print(&error);
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
            Ok(sources) => {
                let settings = Settings::load(&sources)?;
                settings.require_data_dir()?;
                Ok(settings)
            }
            Err(error) => error.exit(),
        }
    }

    fn start<F, E>(
        self,
        settings: Settings,
        role: impl FnOnce(SharedServices, CancellationToken) -> F,
    ) -> ExitCode
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        if let Err(error) = init_logging(&settings.log) {
            return self.refuse(&error);
        }
        for ignored in settings::ignored_variables() {
            tracing::warn!("{ignored}");
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(&error),
        };
        runtime.block_on(self.serve(settings, role))
    }

    async fn serve<F, E>(
        self,
        settings: Settings,
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
        let services = match SharedServices::open(settings) {
            Ok(services) => services,
            Err(error) => return self.fail(&error),
        };
        services
            .metrics
            .gauges("faceline_build_info", "1, with the program and its version.", &["program", "version"])
            .with_label_values(&[self.name, env!("CARGO_PKG_VERSION")])
            .set(1);
        // The operators' listener answers until the very end: a process that drains is alive, but not ready.
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
        self.print(error);
        ExitCode::from(EXIT_BAD_SETTINGS)
    }

    /// Writes an error to standard error, before there is a log.
    fn print(&self, error: &dyn Display) {
        let _ = writeln!(std::io::stderr(), "{}: {error}", self.name);
    }

    fn fail(&self, error: &dyn Display) -> ExitCode {
        tracing::error!("{error}");
        ExitCode::FAILURE
    }
}
