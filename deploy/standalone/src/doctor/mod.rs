//! `faceline doctor`: checks everything that can keep an installation from working, and prints a remedy for each fault.
//!
//! No check has rules of its own: each calls the code of gateways and workers. All checks run at the same time, each
//! with a time limit, so one silent server does not delay the other findings.

mod broker;
mod clock;
mod configuration;
mod files;
mod finding;
mod limit;
mod machine;
mod memory;
mod models;
mod objects;
mod stores;
mod subject;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use faceline_shared::settings::{EXIT_BAD_SETTINGS, Settings, SettingsError, Sources};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};

use self::finding::{Finding, Report};
use self::limit::{SERVER_TIMEOUT, limited};
use self::subject::{Role, Subject};

/// Time limit for reading, loading and running models. It is enough for a machine with one slow core.
const WORK_TIMEOUT: Duration = Duration::from_mins(2);

/// The arguments of `faceline doctor`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// Program that runs on this machine or in this pod; only its requirements are checked
    #[arg(long, value_enum, default_value_t = Role::Standalone)]
    role: Role,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Runs all checks and prints what they found.
pub(crate) fn run(
    arguments: &DoctorArguments,
    sources: &Sources,
    settings: Result<Settings, SettingsError>,
) -> ExitCode {
    let mut findings = configuration::of_sources(sources, settings.as_ref().err());
    let is_unreadable = settings.is_err();
    if let Ok(settings) = settings {
        match examine(&Subject { settings, role: arguments.role }) {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.push(Finding::problem("doctor", error.to_string(), "free memory and threads"));
            }
        }
    }
    let report = Report::new(findings);
    let text = if arguments.json { report.json() } else { report.text() };
    // The exit code reports the findings even if standard output is closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if is_unreadable { ExitCode::from(EXIT_BAD_SETTINGS) } else { report.exit_code() }
}

fn examine(subject: &Subject) -> std::io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let findings = runtime.block_on(async {
        let checks = checks(subject).into_iter().map(tokio::spawn);
        let findings = join_all(checks).await.into_iter();
        findings.flat_map(|found| found.unwrap_or_else(|panic| vec![Finding::panicked(&panic)])).collect()
    });
    // A check that exceeded its limit may still occupy a thread.
    runtime.shutdown_background();
    Ok(findings)
}

type Check = BoxFuture<'static, Vec<Finding>>;

fn checks(subject: &Subject) -> Vec<Check> {
    let mut checks: Vec<Check> = vec![
        local("settings", SERVER_TIMEOUT, subject, configuration::check),
        local("files", SERVER_TIMEOUT, subject, files::check),
        // Its parts have time limits of their own.
        broker::check(subject.clone()).boxed(),
        within("blobs", stores::blobs(subject.clone())),
        within("objects", objects::objects(subject.clone())),
        within("clock", clock::check(subject.clone())),
        local("machine", SERVER_TIMEOUT, subject, machine::check),
        local("memory", SERVER_TIMEOUT, subject, memory::check),
    ];
    if subject.has_gateway() {
        checks.push(within("store", stores::store(subject.clone())));
    }
    if subject.settings.exports.images || subject.settings.exports.videos {
        checks.push(within("exports", objects::exports(subject.clone())));
    }
    if subject.has_worker() {
        checks.push(local("models", WORK_TIMEOUT, subject, models::check));
        checks.push(local("videos", WORK_TIMEOUT, subject, models::videos));
    }
    checks
}

/// A check that waits for a server.
fn within(name: &'static str, check: impl Future<Output = Vec<Finding>> + Send + 'static) -> Check {
    limited(name, SERVER_TIMEOUT, check).boxed()
}

/// A check that occupies a thread.
fn local(
    name: &'static str,
    limit: Duration,
    subject: &Subject,
    check: impl FnOnce(&Subject) -> Vec<Finding> + Send + 'static,
) -> Check {
    let subject = subject.clone();
    let running = async move {
        let checked = tokio::task::spawn_blocking(move || check(&subject)).await;
        checked.unwrap_or_else(|panic| vec![Finding::panicked(&panic)])
    };
    limited(name, limit, running).boxed()
}
