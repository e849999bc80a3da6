//! Where this build's programs are.

use std::fs;
use std::path::{Path, PathBuf};

/// The path of a program of this workspace, built with the profile of these tests.
///
/// Cargo builds programs for the tests of their own package only, so `make test` builds the workspace first.
pub(crate) fn program(name: &str) -> PathBuf {
    // Tests are in `target/PROFILE/deps`, programs in `target/PROFILE`.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join(name);
    let remedy = "run the tests by `make test`, or build first: `cargo build --release --workspace`";
    assert!(program.is_file(), "{} is not built; {remedy}", program.display());
    if let Some(source) = newer_source(&program) {
        panic!("{} is older than {}; {remedy}", program.display(), source.display());
    }
    program
}

/// A source file of a program that has changed since it was built. Cargo lists the sources in a file beside the program.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let built = fs::metadata(program).and_then(|file| file.modified()).unwrap();
    let list = fs::read_to_string(program.with_extension("d")).unwrap();
    // The format of `make`: a target, a colon, and its sources, in which a space is `\ `.
    let (_, sources) = list.split_once(": ")?;
    let mut sources = sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| path.replace('\0', " ").into())
        .collect::<Vec<PathBuf>>()
        .into_iter();
    sources.find(|source| {
        fs::metadata(source).and_then(|file| file.modified()).is_ok_and(|changed| changed > built)
    })
}
