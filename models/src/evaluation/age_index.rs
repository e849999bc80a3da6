//! A folder of pictures of people whose ages are known.

use std::path::{Path, PathBuf};

use super::fold::Fold;
use super::index::{self, Fault, INDEX, IndexError, Row};

/// Valid ages of people, in years.
const AGES: std::ops::RangeInclusive<f32> = 0.0..=125.0;

/// The pictures of `ROOT/index.csv` with the ages of the people that they show.
///
/// The file is comma-separated text (RFC 4180) in UTF-8. Its first line names the columns. `path` is a picture's path
/// below the folder, and `age` the age in years, whole or not. Other columns are ignored.
#[derive(Clone, Debug)]
pub struct AgeIndex {
    /// Each picture with its age, in the file's order.
    pub pictures: Vec<(PathBuf, f32)>,
    /// The person in each picture, by the column `person`; the picture's own path where there is none.
    pub people: Vec<String>,
}

impl AgeIndex {
    /// Reads the list of all pictures, or of a fold of them.
    ///
    /// # Errors
    /// An unreadable file, a list without the columns or without pictures, or a value that is not a person's age.
    pub fn read(root: &Path, fold: Option<Fold>) -> Result<Self, IndexError> {
        let path = root.join(INDEX);
        let rows = index::read(&path, "age", &["person"])?;
        let mut found = Self { pictures: Vec::new(), people: Vec::new() };
        for row in rows {
            let age = age(&row).map_err(|fault| fault.in_file(&path))?;
            if fold.is_none_or(|fold| fold.contains(&row.path)) {
                let person = row.optional.into_iter().flatten().next();
                found.people.push(person.unwrap_or_else(|| row.path.clone()));
                found.pictures.push((root.join(row.path), age));
            }
        }
        if found.pictures.is_empty() { Err(IndexError::EmptyList(path)) } else { Ok(found) }
    }
}

fn age(row: &Row) -> Result<f32, Fault> {
    let years = row.value.parse().ok().filter(|years| AGES.contains(years));
    years.ok_or_else(|| Fault { line: row.line, reason: format!("`{}` is not an age", row.value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_age_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for value in ["old", "-1", "NaN"] {
            std::fs::write(folder.path().join(INDEX), format!("path,age\na,{value}\n")).unwrap();
            let text = AgeIndex::read(folder.path(), None).unwrap_err().to_string();
            assert!(text.ends_with(&format!("index.csv, line 2: `{value}` is not an age")), "{text}");
        }
    }

    #[test]
    fn folds_share_the_pictures() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(AgeIndex::read(folder.path(), None), Err(IndexError::Read { .. })));
        let rows: String = (0..40).map(|row| format!("{row}.jpg,{row}\n")).collect();
        std::fs::write(folder.path().join(INDEX), format!("path,age\n{rows}")).unwrap();
        let count = |fold: Option<&str>| {
            let fold = fold.map(|fold| fold.parse().unwrap());
            AgeIndex::read(folder.path(), fold).unwrap().pictures.len()
        };
        assert_eq!((count(None), count(Some("1/2")) + count(Some("2/2"))), (40, 40));
        assert!(count(Some("1/2")) > 10 && count(Some("2/2")) > 10);
        std::fs::write(folder.path().join(INDEX), "path,age\n").unwrap();
        assert!(matches!(AgeIndex::read(folder.path(), None), Err(IndexError::EmptyList(_))));
    }
}
