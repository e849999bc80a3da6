//! Start-up and exit of every server program: arguments, settings, log, signals, operators' listener and exit code.

use std::fmt::Display;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use sd_notify::NotifyState;

use crate::admin::health::HealthSubject;
use crate::admin::{self, Admin};
use crate::services::SharedServices;
use crate::settings::{self, EXIT_BAD_SETTINGS, Settings, SettingsError, Sources};
use crate::shutdown::{self, CancellationToken};
use crate::telemetry::{TraceExport, TraceExportError, init_logging};

/// Name of the command that every program has.
const PROBE: &str = "probe";
/// Flag of that command.
const ALIVE: &str = "alive";

/// Time to wait for threads that are still blocked when a role has ended. After that the process ends anyway.
pub const BLOCKED_THREADS_TIMEOUT: Duration = Duration::from_secs(2);

/// Properties of one server program.
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
        let matches = self.arguments().get_matches();
        match (self.settings(&matches), matches.subcommand()) {
            (Err(error), _) => self.refuse(&error),
            (Ok(settings), Some((PROBE, arguments))) => self.probe(&settings, arguments),
            (Ok(settings), _) => self.start(settings, role),
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
        let done = |named, _: &Sources, settings: Result<Settings, SettingsError>| match settings {
            Ok(settings) => match command(named, &settings) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    self.print(&error);
                    ExitCode::FAILURE
                }
            },
            Err(error) => self.refuse(&error),
        };
        self.run_or_command(done, role)
    }

    /// As [`Program::run_or`], for commands that have exit codes of their own or handle wrong settings.
    pub fn run_or_command<C, F, E>(
        self,
        command: impl FnOnce(C, &Sources, Result<Settings, SettingsError>) -> ExitCode,
        role: impl FnOnce(SharedServices, CancellationToken) -> F,
    ) -> ExitCode
    where
        C: clap::Subcommand,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let arguments = C::augment_subcommands(self.arguments()).subcommand_required(false);
        let matches = arguments.arg_required_else_help(false).get_matches();
        let settings = self.settings(&matches);
        let probe = matches.subcommand_matches(PROBE);
        if probe.is_some() || matches.subcommand_name().is_none() {
            return match (settings, probe) {
                (Ok(settings), None) => self.start(settings, role),
                (Ok(settings), Some(arguments)) => self.probe(&settings, arguments),
                (Err(error), _) => self.refuse(&error),
            };
        }
        let named = C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let sources = Sources::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        command(named, &sources, settings)
    }

    /// Reports wrong settings of a command as the start of the program does: prints `error`, and returns exit code 64.
    #[must_use]
    pub fn refuse(&self, error: &dyn Display) -> ExitCode {
        self.print(error);
        ExitCode::from(EXIT_BAD_SETTINGS)
    }

    fn arguments(&self) -> clap::Command {
        Sources::augment_args(
            clap::Command::new(self.name).about(self.about).version(env!("CARGO_PKG_VERSION")),
        )
        .subcommand(
            clap::Command::new(PROBE)
                .about("Ask the running program at admin.listen whether it is ready; exit code 0, or 1 with the reason")
                .arg(
                    clap::Arg::new(ALIVE)
                        .long(ALIVE)
                        .action(clap::ArgAction::SetTrue)
                        .help("Ask only whether the program runs, even if it is not ready"),
                ),
        )
    }

    fn probe(&self, settings: &Settings, arguments: &clap::ArgMatches) -> ExitCode {
        let subject =
            if arguments.get_flag(ALIVE) { HealthSubject::Liveness } else { HealthSubject::Readiness };
        match admin::probe(settings.admin.listen.unwrap_or(self.admin), subject) {
            Ok(answer) => {
                let _ = writeln!(std::io::stdout(), "{answer}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                self.print(&error);
                ExitCode::FAILURE
            }
        }
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
        let code = runtime.block_on(self.serve(settings, role));
        // Work that blocks a thread longer, such as a video that outlasts the drain, ends with the process. All data
        // that must persist is stored by then.
        runtime.shutdown_timeout(BLOCKED_THREADS_TIMEOUT);
        code
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
        let traces = match self.trace(&services) {
            Ok(traces) => traces,
            Err(error) => return self.fail(&error),
        };
        let readiness = services.readiness.clone();
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            readiness.ready().await;
            tracing::info!("ready");
            notify_service_manager(NotifyState::Ready);
            stopping.cancelled().await;
            notify_service_manager(NotifyState::Stopping);
        });
        let broker = services.broker.clone();
        let ended = role(services, shutdown).await;
        broker.close().await;
        if let Some(traces) = traces {
            traces.shutdown().await;
        }
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => self.fail(&error),
        }
    }

    /// Begins the export of traces, if the settings ask for it.
    fn trace(&self, services: &SharedServices) -> Result<Option<TraceExport>, TraceExportError> {
        let SharedServices { settings, metrics, .. } = services;
        let messaging = if settings.broker.url.is_embedded() { "in_process" } else { "rabbitmq" };
        TraceExport::start(&settings.tracing, self.name, messaging, metrics)
    }

    /// Writes an error to standard error, before there is a log.
    pub fn print(&self, error: &dyn Display) {
        let _ = writeln!(std::io::stderr(), "{}: {error}", self.name);
    }

    fn fail(&self, error: &dyn Display) -> ExitCode {
        tracing::error!("{error}");
        ExitCode::FAILURE
    }
}

/// Tells systemd about this process, if systemd started it with `Type=notify`.
fn notify_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager does not learn of the state of this process");
    }
}
