//! The confined child: the worker starts itself again as `faceline-worker confine`, gives up its rights, and becomes ffmpeg.
//!
//! A decoder of video formats is a large program in C that reads a stranger's bytes. Once confined, it reads what it inherited and
//! its own program, libraries and loader; it writes to the pipes it inherited, and nothing else is open to it.

mod calls;
mod error;
mod files;
mod interpreter;
mod resources;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

pub use self::error::ConfinementError;
use self::resources::Resources;

/// The first argument of a program that is to confine itself.
const ARGUMENT: &str = "confine";

/// Exit code of a child that could not be confined. With [`NOT_CONFINED_PREFIX`] it cannot be confused with one of ffmpeg.
pub(super) const EXIT_NOT_CONFINED: u8 = 125;

/// Beginning of the reason on standard error.
pub(super) const NOT_CONFINED_PREFIX: &str = "not confined: ";

/// Limits of a child.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Confinement {
    pub(super) cpu_time: Duration,
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// Whether the kernel restricts files and system calls. Resources are limited either way.
    pub(super) by_kernel: bool,
}

impl Confinement {
    /// The command that starts `program` confined, as a child of this process. Arguments may be added.
    pub(super) fn command(&self, launcher: &Path, program: &Path) -> Command {
        let mut command = Command::new(launcher);
        let seconds = self.cpu_time.as_secs() + u64::from(self.cpu_time.subsec_nanos() > 0);
        command.arg(ARGUMENT);
        command.args(["--cpu-seconds", &seconds.to_string(), "--memory-bytes", &self.memory.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        if !self.by_kernel {
            command.args(["--kernel", "off"]);
        }
        command.arg("--").arg(program);
        command
    }
}

/// To be called first in `main`: if this process was started to confine itself, it becomes the confined program.
/// It returns an exit code if it cannot, and `None` if it was started for something else.
#[must_use]
pub fn become_confined() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    let Err(error) = confine(arguments);
    let _ = writeln!(std::io::stderr(), "{NOT_CONFINED_PREFIX}{error}");
    Some(ExitCode::from(EXIT_NOT_CONFINED))
}

fn confine(arguments: impl Iterator<Item = OsString>) -> Result<std::convert::Infallible, ConfinementError> {
    let (resources, by_kernel, program, arguments) = parse(arguments)?;
    resources.limit()?;
    if by_kernel {
        let readable = files::Readable::of(Path::new(&program))?;
        readable.restrict()?;
        calls::restrict()?;
    }
    // The arena of each thread would reserve 64 MiB of the address space.
    Err(ConfinementError::Program(
        Command::new(program).args(arguments).env_clear().env("MALLOC_ARENA_MAX", "2").exec(),
    ))
}

type Parsed = (Resources, bool, OsString, Vec<OsString>);

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Parsed, ConfinementError> {
    let mut resources = Resources::default();
    let mut by_kernel = true;
    loop {
        let option = arguments.next().ok_or(ConfinementError::Usage)?;
        if option == "--" {
            break;
        }
        let value = arguments.next().ok_or(ConfinementError::Usage)?;
        let number =
            || value.to_str().and_then(|value| value.parse::<u64>().ok()).ok_or(ConfinementError::Usage);
        match option.to_str() {
            Some("--cpu-seconds") => resources.cpu_seconds = number()?,
            Some("--memory-bytes") => resources.memory = number()?,
            Some("--parent") => resources.parent = Some(number()?),
            Some("--kernel") if value == "off" => by_kernel = false,
            _ => return Err(ConfinementError::Usage),
        }
    }
    let program = arguments.next().ok_or(ConfinementError::Usage)?;
    Ok((resources, by_kernel, program, arguments.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_says_is_understood() {
        let confinement =
            Confinement { cpu_time: Duration::from_millis(1500), memory: 1 << 30, by_kernel: false };
        let mut command = confinement.command(Path::new("worker"), Path::new("/usr/bin/ffmpeg"));
        command.args(["--", "-i"]);
        let arguments: Vec<OsString> = command.get_args().skip(1).map(OsStr::to_owned).collect();
        let (resources, by_kernel, program, rest) = parse(arguments.into_iter()).unwrap();
        assert_eq!(
            resources,
            Resources { cpu_seconds: 2, memory: 1 << 30, parent: Some(std::process::id().into()) }
        );
        assert!(!by_kernel);
        assert_eq!((program, rest), ("/usr/bin/ffmpeg".into(), vec!["--".into(), "-i".into()]));
    }

    #[test]
    fn arguments_that_are_not_understood_start_nothing() {
        let cases: [&[&str]; 6] = [
            &[],
            &["ls"],
            &["--"],
            &["--kernel", "on", "--", "ls"],
            &["--cpu-seconds", "x", "--", "ls"],
            &["--parent"],
        ];
        for case in cases {
            let parsed = parse(case.iter().map(OsString::from));
            assert!(matches!(parsed, Err(ConfinementError::Usage)), "{case:?}");
        }
    }
}
