//! The registries' ordinary clients, and curl, as child processes.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ProvisionError;
use crate::manifest::{Package, Registry};

/// Maximum size of a file that curl downloads: 1 GiB.
const MAX_FILE_BYTES: &str = "1073741824";

/// Number of lines of a failed client's output that its error shows.
const LAST_LINES: usize = 8;

/// Finds npm, pip and curl, and runs them.
pub(super) struct Clients {
    /// Directories to search, in the form of `PATH`.
    search: OsString,
    /// Variables for the clients' environment, beside those of this process.
    environment: Vec<(String, String)>,
}

impl Clients {
    /// The clients of the user's `PATH`.
    pub(super) fn of_user() -> Self {
        Self { search: std::env::var_os("PATH").unwrap_or_default(), environment: Vec::new() }
    }

    /// The clients of other directories.
    #[cfg(test)]
    pub(super) fn in_path(search: &OsStr) -> Self {
        Self { search: search.to_owned(), environment: Vec::new() }
    }

    /// The same clients with another variable in their environment.
    #[cfg(test)]
    pub(super) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Downloads a package's archive into the empty directory `into`, and returns its path.
    pub(super) fn download(&self, package: &Package, into: &Path) -> Result<PathBuf, ProvisionError> {
        let mut command = match package.registry {
            Registry::Npm => self.npm(package, into)?,
            Registry::Pypi => self.pip(package, into)?,
            Registry::Https => return Err(ProvisionError::NoArchive(package.name.clone())),
        };
        run(&mut command, into)?;
        let entries = std::fs::read_dir(into).map_err(|error| ProvisionError::io(into, error))?;
        let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        match <[PathBuf; 1]>::try_from(files) {
            Ok([archive]) => Ok(archive),
            Err(files) => Err(ProvisionError::Client {
                command: display(&command),
                status: "success".to_owned(),
                last_lines: format!("it left {} files instead of one archive", files.len()),
            }),
        }
    }

    /// Downloads one file into `part`, and continues after the bytes of an earlier download. curl takes proxies and
    /// certificates from its environment (`https_proxy`, `no_proxy`, `CURL_CA_BUNDLE`).
    pub(super) fn download_file(&self, address: &str, part: &Path) -> Result<(), ProvisionError> {
        let curl = self.find("curl").ok_or(ProvisionError::CurlNotFound)?;
        let mut command = self.command(&curl);
        command.args(["--fail", "--silent", "--show-error", "--location", "--max-redirs", "5"]);
        // Without this option, curl would interpret braces and brackets in an address as a pattern.
        command.arg("--globoff");
        let schemes = if address.starts_with("https://") { "=https" } else { "=http,https" };
        command.args(["--proto", schemes, "--proto-redir", "=https"]);
        command.args(["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"]);
        command.args(["--retry", "3", "--max-filesize", MAX_FILE_BYTES, "--continue-at", "-"]);
        command.arg("--output").arg(part).arg("--").arg(address);
        let into = part.parent().unwrap_or(part);
        match run(&mut command, into) {
            Err(error) if part.exists() && cannot_continue(&error) => {
                std::fs::remove_file(part).map_err(|error| ProvisionError::io(part, error))?;
                run(&mut command, into)
            }
            result => result,
        }
    }

    fn npm(&self, package: &Package, into: &Path) -> Result<Command, ProvisionError> {
        let npm = self.find("npm").ok_or(ProvisionError::NpmNotFound)?;
        let mut command = self.command(&npm);
        command.arg("pack").arg(format!("{}@{}", package.name, package.version));
        command.arg("--pack-destination").arg(into);
        command.args(["--ignore-scripts", "--no-update-notifier", "--loglevel=error"]);
        // `npm pack` searches for a package.json from its working directory upwards.
        command.current_dir(into);
        Ok(command)
    }

    fn pip(&self, package: &Package, into: &Path) -> Result<Command, ProvisionError> {
        let mut command = self.find_pip().ok_or(ProvisionError::PipNotFound)?;
        command.args([
            "download",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ]);
        command.arg("--dest").arg(into);
        match &package.wheel {
            Some(wheel) => {
                command.args(["--only-binary", ":all:", "--implementation", "cp"]);
                command.args([
                    "--python-version",
                    &wheel.python,
                    "--abi",
                    &wheel.abi,
                    "--platform",
                    &wheel.platform,
                ]);
            }
            // For this package only: the packages that build its metadata may be wheels.
            None => {
                command.args(["--no-binary", &package.name]);
            }
        }
        command.arg(format!("{}=={}", package.name, package.version));
        Ok(command)
    }

    fn find_pip(&self) -> Option<Command> {
        if let Some(pip) = self.find("pip").or_else(|| self.find("pip3")) {
            return Some(self.command(&pip));
        }
        let python = self.find("python3")?;
        let mut probe = self.command(&python);
        probe.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success()).then(|| {
            let mut command = self.command(&python);
            command.args(["-m", "pip"]);
            command
        })
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.search).map(|dir| dir.join(name)).find(|path| {
            std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.search).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Whether curl failed because the server cannot continue this part: the server does not support ranges, or the part
/// does not belong to its file. Any other failure, such as a network outage, says nothing about the part.
fn cannot_continue(error: &ProvisionError) -> bool {
    let ProvisionError::Client { status, .. } = error else { return false };
    // CURLE_RANGE_ERROR and CURLE_BAD_DOWNLOAD_RESUME
    [33, 36].iter().any(|code| *status == format!("exit status: {code}"))
}

fn run(command: &mut Command, into: &Path) -> Result<(), ProvisionError> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(|error| ProvisionError::io(&program, error))?;
    if output.status.success() {
        return Ok(());
    }
    if let Some(signal) = output.status.signal() {
        return Err(ProvisionError::Interrupted { command: display(command), signal });
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if text.contains("ENOSPC") || text.contains("No space left on device") {
        return Err(ProvisionError::DiskFull { path: into.to_owned() });
    }
    Err(ProvisionError::Client {
        command: display(command),
        status: output.status.to_string(),
        last_lines: last_lines(&text),
    })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|character| !character.is_control()).take(300).collect())
        .filter(|line: &String| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn display(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
