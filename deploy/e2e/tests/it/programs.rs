//! The paths of this build's programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

/// Start time of the tests. Source files that are edited while the tests run must not make them fail.
static START: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// The path of a program of this workspace, built with the profile of these tests.
///
/// Cargo builds programs for the tests of their own package only, so `make test` builds the workspace first.
pub(crate) fn program(name: &str) -> PathBuf {
    // Tests are in `target/PROFILE/deps`, programs in `target/PROFILE`.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join(name);
    let remedy = "run the tests by `make test`, or build first: `cargo build --workspace`, with the profile of the tests";
    assert!(program.is_file(), "{} is not built; {remedy}", program.display());
    if let Some(source) = newer_source(&program, *START) {
        panic!("{} is older than {}; {remedy}", program.display(), source.display());
    }
    program
}

/// A source file of a program that has changed since it was built, and before `start`. Cargo lists the sources in a
/// file beside the program.
fn newer_source(program: &Path, start: SystemTime) -> Option<PathBuf> {
    let built = fs::metadata(program).and_then(|file| file.modified()).unwrap();
    let list = fs::read_to_string(program.with_extension("d")).unwrap();
    // The format of `make`: a target, a colon, and the sources with `\ ` for a space.
    let (_, sources) = list.split_once(": ")?;
    let mut sources = sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| path.replace('\0', " ").into())
        .collect::<Vec<PathBuf>>()
        .into_iter();
    sources.find(|source| {
        fs::metadata(source)
            .and_then(|file| file.modified())
            .is_ok_and(|changed| changed > built && changed < start)
    })
}

#[test]
fn a_source_that_is_newer_than_its_program_is_found() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24);
    for (name, hour) in [("program", 2), ("old source.rs", 1), ("new source.rs", 3)] {
        let file = fs::File::create(path(name)).unwrap();
        file.set_modified(at + std::time::Duration::from_hours(hour)).unwrap();
    }
    let list = |sources: &[&str]| {
        let sources: Vec<_> =
            sources.iter().map(|name| path(name).display().to_string().replace(' ', "\\ ")).collect();
        fs::write(path("program.d"), format!("{}: {}\n", path("program").display(), sources.join(" ")))
            .unwrap();
    };
    list(&["old source.rs"]);
    assert_eq!(newer_source(&path("program"), *START), None);
    list(&["old source.rs", "new source.rs"]);
    assert_eq!(newer_source(&path("program"), *START), Some(path("new source.rs")));
    assert_eq!(newer_source(&path("program"), at), None, "edited while the tests run");
}
