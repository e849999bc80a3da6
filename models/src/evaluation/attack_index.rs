//! A folder of pictures of living people and of attacks.

use std::path::{Path, PathBuf};

use super::age_index::fields;

/// The list's file.
const INDEX: &str = "index.csv";

/// The label of a bona fide presentation.
const LIVE: &str = "live";

/// A picture, and what it shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presentation {
    /// The file.
    pub path: PathBuf,
    /// The attack's type; `None` where a living person is shown (a bona fide presentation).
    pub attack: Option<String>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum AttackIndexError {
    /// A folder or file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not of the form.
    #[error("{path}, line {line}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is nothing in it.
    #[error("{0} has no pictures")]
    Empty(PathBuf),
}

/// The pictures that `ROOT/index.csv` names in its column `path`, with those of its column `label`: `live`, or an
/// attack's type. Where there is no such file, all files in the folder and in those below it, as bona fide.
///
/// # Errors
/// An unreadable folder, a list without the columns, or no picture at all.
pub fn presentations(root: &Path) -> Result<Vec<Presentation>, AttackIndexError> {
    let index = root.join(INDEX);
    let mut found = Vec::new();
    if index.is_file() {
        let text = std::fs::read_to_string(&index)
            .map_err(|source| AttackIndexError::Read { path: index.clone(), source })?;
        let rows =
            parse(&text).map_err(|(line, reason)| AttackIndexError::Form { path: index, line, reason })?;
        let attack = |label: String| (label != LIVE).then_some(label);
        found = rows
            .into_iter()
            .map(|(path, label)| Presentation { path: root.join(path), attack: attack(label) })
            .collect();
    } else {
        walk(root, &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
    }
    if found.is_empty() { Err(AttackIndexError::Empty(root.to_owned())) } else { Ok(found) }
}

fn walk(folder: &Path, found: &mut Vec<Presentation>) -> Result<(), AttackIndexError> {
    let unreadable = |source| AttackIndexError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(Presentation { path, attack: None });
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let names = fields(lines.next().map_or("", |(_, line)| line));
    let column = |wanted: &str| {
        let found = names.iter().position(|name| name == wanted);
        found.ok_or_else(|| (1, format!("there is no column `{wanted}`")))
    };
    let (path, label) = (column("path")?, column("label")?);
    let rows = lines.filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| {
        let fields = fields(line);
        match (fields.get(path), fields.get(label)) {
            (Some(path), Some(label)) if fields.len() == names.len() => Ok((path.clone(), label.clone())),
            _ => Err((index + 1, format!("{} fields, not {}", fields.len(), names.len()))),
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_attacks_from_people() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(matches!(presentations(root), Err(AttackIndexError::Empty(_))));
        std::fs::write(root.join(INDEX), "path,label,subject\na.jpg,live,1\n\"b,c.jpg\",print,2\n").unwrap();
        let of = |name: &str, attack: Option<&str>| Presentation {
            path: root.join(name),
            attack: attack.map(str::to_owned),
        };
        assert_eq!(presentations(root).unwrap(), [of("a.jpg", None), of("b,c.jpg", Some("print"))]);
        for (text, reason) in
            [("path\n", "no column `label`"), ("path,label\na,live,x\n", "line 2: 3 fields")]
        {
            std::fs::write(root.join(INDEX), text).unwrap();
            let said = presentations(root).unwrap_err().to_string();
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_folder_without_a_list_shows_living_people() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("somebody")).unwrap();
        for name in ["somebody/2.jpg", "somebody/1.jpg"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = presentations(folder.path()).unwrap();
        assert!(found.iter().all(|one| one.attack.is_none()) && found.len() == 2);
        assert!(found[0].path.ends_with("1.jpg") && presentations(&folder.path().join("nowhere")).is_err());
    }
}
