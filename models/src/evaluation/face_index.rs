//! A folder of pictures with a known number of people in each.

use std::path::{Path, PathBuf};

use super::index::{self, Fault, INDEX, IndexError};

/// Pictures with the number of people that each is of.
///
/// If there is `ROOT/index.csv`, its columns `path` and `faces` name them; rows with an empty number are skipped.
/// Without it, every file below the folder is a picture of one person; people in the background do not count.
#[derive(Clone, Debug)]
pub struct FaceIndex {
    /// Each picture with its number of people.
    pub pictures: Vec<(PathBuf, u32)>,
}

impl FaceIndex {
    /// Reads the list, or the folder.
    ///
    /// # Errors
    /// An unreadable file or folder, a list without the columns, a value that is not a number, or no pictures.
    pub fn read(root: &Path) -> Result<Self, IndexError> {
        let list = root.join(INDEX);
        if !list.is_file() {
            return Self::of_one_person_each(root);
        }
        let mut pictures = Vec::new();
        for row in index::read(&list, "faces", &[])? {
            if row.value.trim().is_empty() {
                continue;
            }
            let Ok(faces) = row.value.trim().parse() else {
                let reason = format!("`{}` is not a number of faces", row.value);
                return Err(Fault { line: row.line, reason }.in_file(&list));
            };
            pictures.push((root.join(row.path), faces));
        }
        if pictures.is_empty() { Err(IndexError::EmptyList(list)) } else { Ok(Self { pictures }) }
    }

    fn of_one_person_each(root: &Path) -> Result<Self, IndexError> {
        let mut found = Vec::new();
        files(root, &mut found).map_err(|source| IndexError::Read { path: root.to_owned(), source })?;
        found.sort();
        if found.is_empty() {
            return Err(IndexError::EmptyFolder(root.to_owned()));
        }
        Ok(Self { pictures: found.into_iter().map(|path| (path, 1)).collect() })
    }
}

/// Adds all files below a folder whose names do not begin with a dot.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_numbers_and_a_folder_is_of_one_person_each() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(matches!(FaceIndex::read(root), Err(IndexError::EmptyFolder(_))));
        std::fs::create_dir(root.join("somebody")).unwrap();
        std::fs::write(root.join("somebody/1.jpg"), "").unwrap();
        std::fs::write(root.join(".hidden"), "").unwrap();
        assert_eq!(FaceIndex::read(root).unwrap().pictures, [(root.join("somebody/1.jpg"), 1)]);

        std::fs::write(root.join(INDEX), "path,faces\na.jpg,3\nb.jpg,\nc.jpg,0\n").unwrap();
        let pictures = FaceIndex::read(root).unwrap().pictures;
        assert_eq!(pictures, [(root.join("a.jpg"), 3), (root.join("c.jpg"), 0)]);
        std::fs::write(root.join(INDEX), "path,faces\na.jpg,many\n").unwrap();
        let text = FaceIndex::read(root).unwrap_err().to_string();
        assert!(text.ends_with("index.csv, line 2: `many` is not a number of faces"), "{text}");
        std::fs::write(root.join(INDEX), "path,faces\n").unwrap();
        assert!(matches!(FaceIndex::read(root), Err(IndexError::EmptyList(_))));
    }
}
