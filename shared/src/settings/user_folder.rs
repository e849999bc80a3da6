//! Folders of the user who runs a program.

use std::path::{Path, PathBuf};

/// A folder of the user as the XDG base directory specification defines it. `None` if neither the variable nor `HOME` holds an
/// absolute path, as in many containers: a folder for temporary files would be no substitute, since what is in it gets lost.
pub(super) fn user_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "these two variables belong to the system, and only defaults depend on them"
    )]
    folder_of(std::env::var(variable).ok(), std::env::var("HOME").ok(), below_home)
}

fn folder_of(named: Option<String>, home: Option<String>, below_home: &str) -> Option<PathBuf> {
    let absolute = |folder: Option<String>| folder.map(PathBuf::from).filter(|folder| folder.is_absolute());
    absolute(named).or_else(|| absolute(home).map(|home: PathBuf| Path::join(&home, below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_home_and_without_both_there_is_no_folder() {
        let of = |named: Option<&str>, home: Option<&str>| {
            folder_of(named.map(str::to_owned), home.map(str::to_owned), ".cache")
        };
        assert_eq!(of(Some("/x"), Some("/home/a")), Some("/x".into()));
        for no_path in [None, Some(""), Some("relative")] {
            assert_eq!(of(no_path, Some("/home/a")), Some("/home/a/.cache".into()));
            assert_eq!(of(no_path, no_path), None);
        }
    }
}
