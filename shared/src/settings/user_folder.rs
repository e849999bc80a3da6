//! Folders of the user who runs a program.

use std::path::{Path, PathBuf};

/// A folder of the user as the XDG base directory specification defines it.
pub(super) fn user_folder(variable: &str, below_home: &str) -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "these two variables belong to the system, and only defaults depend on them"
    )]
    let of = |name: &str| std::env::var(name).ok().filter(|value| Path::new(value).is_absolute());
    match (of(variable), of("HOME")) {
        (Some(folder), _) => folder.into(),
        (None, Some(home)) => Path::new(&home).join(below_home),
        (None, None) => std::env::temp_dir(),
    }
}
