//! A folder of pictures of living people and of attacks.

use std::path::{Path, PathBuf};

use super::index::{self, INDEX, IndexError};

/// The label of a bona fide presentation.
const LIVE: &str = "live";

/// A picture of a living person or of an attack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presentation {
    /// The file.
    pub path: PathBuf,
    /// The attack's type; `None` for a living person (a bona fide presentation).
    pub attack: Option<String>,
}

/// The pictures that `ROOT/index.csv` names in its column `path`. Its column `label` has `live` or an attack's type. Where
/// there is no such file: all files in the folder and below it, as bona fide presentations.
///
/// # Errors
/// An unreadable folder or file, a list without the columns, or no picture at all.
pub fn presentations(root: &Path) -> Result<Vec<Presentation>, IndexError> {
    let index = root.join(INDEX);
    let mut found = Vec::new();
    if index.is_file() {
        let attack = |label: String| (label != LIVE).then_some(label);
        let rows = index::read(&index, "label")?.into_iter();
        found =
            rows.map(|row| Presentation { path: root.join(row.path), attack: attack(row.value) }).collect();
    } else {
        walk(root, &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
    }
    if found.is_empty() { Err(IndexError::EmptyFolder(root.to_owned())) } else { Ok(found) }
}

fn walk(folder: &Path, found: &mut Vec<Presentation>) -> Result<(), IndexError> {
    let unreadable = |source| IndexError::Read { path: folder.to_owned(), source };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_attacks_from_people() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(matches!(presentations(root), Err(IndexError::EmptyFolder(_))));
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
            let text = presentations(root).unwrap_err().to_string();
            assert!(text.contains(reason), "{text}");
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
