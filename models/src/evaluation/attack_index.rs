//! A folder of pictures of living people and of attacks.

use std::path::{Path, PathBuf};

use super::index::{self, INDEX, IndexError, Row};

/// The label of a bona fide presentation.
const LIVE: &str = "live";

/// A picture of a living person or of an attack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presentation {
    /// The file.
    pub path: PathBuf,
    /// The species of the attack; `None` for a living person (a bona fide presentation).
    pub attack: Option<String>,
    /// The person, by the column `subject`; the picture's own path where there is none.
    pub subject: String,
    /// Where the picture is from, by the column `source`; the folder's name where there is none.
    pub source: String,
}

/// The pictures that `ROOT/index.csv` names in its column `path`. Its column `label` has `live` or the species of an
/// attack. Columns `subject` and `source` are optional. Where
/// there is no such file: all files in the folder and below it, as bona fide presentations.
///
/// # Errors
/// An unreadable folder or file, a list without the columns, or no picture at all.
pub fn presentations(root: &Path) -> Result<Vec<Presentation>, IndexError> {
    let index = root.join(INDEX);
    let mut found = Vec::new();
    if index.is_file() {
        let attack = |label: String| (label != LIVE).then_some(label);
        let presentation = |row: Row| {
            let [subject, source] = row.optional.try_into().unwrap_or_default();
            Presentation {
                path: root.join(&row.path),
                attack: attack(row.value),
                subject: subject.unwrap_or(row.path),
                source: source.unwrap_or_else(|| name_of(root)),
            }
        };
        let rows = index::read(&index, "label", &["subject", "source"])?;
        found = rows.into_iter().map(presentation).collect();
    } else {
        walk(root, &name_of(root), &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
    }
    if found.is_empty() { Err(IndexError::EmptyFolder(root.to_owned())) } else { Ok(found) }
}

/// The name of a folder.
fn name_of(root: &Path) -> String {
    root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned()
}

fn walk(folder: &Path, source: &str, found: &mut Vec<Presentation>) -> Result<(), IndexError> {
    let unreadable = |error| IndexError::Read { path: folder.to_owned(), source: error };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            walk(&path, source, found)?;
        } else {
            let (subject, source) = (path.display().to_string(), source.to_owned());
            found.push(Presentation { path, attack: None, subject, source });
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
        let of = |name: &str, attack: Option<&str>, subject: &str| Presentation {
            path: root.join(name),
            attack: attack.map(str::to_owned),
            subject: subject.to_owned(),
            source: name_of(root),
        };
        assert_eq!(presentations(root).unwrap(), [of("a.jpg", None, "1"), of("b,c.jpg", Some("print"), "2")]);
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
