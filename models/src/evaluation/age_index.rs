//! A folder of pictures of people whose ages are known.

use std::path::{Path, PathBuf};

use super::fold::Fold;

/// The list's file.
const INDEX: &str = "index.csv";

/// Ages that people have.
const AGES: std::ops::RangeInclusive<f32> = 0.0..=125.0;

/// The pictures of `ROOT/index.csv` with the ages of whom they show.
///
/// The file is comma-separated text (RFC 4180) in UTF-8. Its first line names the columns: `path` is a picture's path
/// from the folder, `age` the age in years, whole or not; others are not looked at. Fields may stand in double quotes.
#[derive(Clone, Debug)]
pub struct AgeIndex {
    /// Each picture with its age, in the file's order.
    pub pictures: Vec<(PathBuf, f32)>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum AgeIndexError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
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
    #[error("{0} names no pictures")]
    Empty(PathBuf),
}

impl AgeIndex {
    /// Reads the list of all pictures, or of a fold of them.
    ///
    /// # Errors
    /// An unreadable file, one without the columns, or an age that nobody has.
    pub fn read(root: &Path, fold: Option<Fold>) -> Result<Self, AgeIndexError> {
        let path = root.join(INDEX);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| AgeIndexError::Read { path: path.clone(), source })?;
        let rows = parse(&text).map_err(|(line, reason)| AgeIndexError::Form {
            path: path.clone(),
            line,
            reason,
        })?;
        let chosen = rows.into_iter().filter(|(name, _)| fold.is_none_or(|fold| fold.contains(name)));
        let pictures: Vec<_> = chosen.map(|(name, age)| (root.join(name), age)).collect();
        if pictures.is_empty() { Err(AgeIndexError::Empty(path)) } else { Ok(Self { pictures }) }
    }
}

fn parse(text: &str) -> Result<Vec<(String, f32)>, (usize, String)> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let names = fields(lines.next().map_or("", |(_, line)| line));
    let column = |wanted: &str| {
        let found = names.iter().position(|name| name == wanted);
        found.ok_or_else(|| (1, format!("there is no column `{wanted}`")))
    };
    let (path, age) = (column("path")?, column("age")?);
    let mut rows = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = fields(line);
        if fields.len() != names.len() {
            return Err((index + 1, format!("{} fields, not {}", fields.len(), names.len())));
        }
        let years = fields[age].parse().ok().filter(|years| AGES.contains(years));
        let years = years.ok_or_else(|| (index + 1, format!("`{}` is not an age", fields[age])))?;
        rows.push((fields.swap_remove(path), years));
    }
    Ok(rows)
}

/// Splits a line at its commas, but for those within quotes; two quotes within quotes are one.
pub(super) fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => push(&mut fields, '"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => push(&mut fields, other),
        }
    }
    fields
}

fn push(fields: &mut [String], character: char) {
    if let Some(last) = fields.last_mut() {
        last.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let text = "\u{feff}age,race,path\r\n7,\"a, b\",one.jpg\r\n\r\n31.5,,\"a \"\"b\"\".jpg\"\r\n";
        let rows = parse(text).unwrap();
        assert_eq!(rows, [("one.jpg".to_owned(), 7.0), ("a \"b\".jpg".to_owned(), 31.5)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, reason) in [
            ("", 1, "no column `path`"),
            ("path,years\n", 1, "no column `age`"),
            ("path,age\na,1\nb\n", 3, "1 fields, not 2"),
            ("path,age\na,old\n", 2, "`old` is not an age"),
            ("path,age\na,-1\n", 2, "`-1` is not an age"),
            ("path,age\na,NaN\n", 2, "`NaN` is not an age"),
        ] {
            let (found, said) = parse(text).unwrap_err();
            assert!(found == line && said.contains(reason), "{text:?}: {found}: {said}");
        }
    }

    #[test]
    fn folds_share_the_pictures() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(AgeIndex::read(folder.path(), None), Err(AgeIndexError::Read { .. })));
        let rows: String = (0..40).map(|row| format!("{row}.jpg,{row}\n")).collect();
        std::fs::write(folder.path().join(INDEX), format!("path,age\n{rows}")).unwrap();
        let count = |fold: Option<&str>| {
            let fold = fold.map(|fold| fold.parse().unwrap());
            AgeIndex::read(folder.path(), fold).unwrap().pictures.len()
        };
        assert_eq!((count(None), count(Some("1/2")) + count(Some("2/2"))), (40, 40));
        assert!(count(Some("1/2")) > 10 && count(Some("2/2")) > 10);
        std::fs::write(folder.path().join(INDEX), "path,age\n").unwrap();
        assert!(matches!(AgeIndex::read(folder.path(), None), Err(AgeIndexError::Empty(_))));
    }
}
