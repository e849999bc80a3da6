//! `index.csv`: the list of a data set's pictures, with a label of each.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

/// The list's file name, below the data set's folder.
pub(super) const INDEX: &str = "index.csv";

/// Reasons why a data set's list of pictures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A folder or file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of the list has an invalid format.
    #[error("{path}, line {line}: {reason}")]
    Form {
        /// The list.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Description of the fault.
        reason: String,
    },
    /// The list has no rows.
    #[error("{0} names no pictures")]
    EmptyList(PathBuf),
    /// A folder without a list has no files.
    #[error("{0} has no pictures")]
    EmptyFolder(PathBuf),
}

/// One picture of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// The line of the list, counted from 1.
    pub(super) line: usize,
    /// The picture's path, relative to the data set's folder.
    pub(super) path: String,
    /// The value of the required column besides `path`.
    pub(super) value: String,
    /// Values of the optional columns; `None` where the list has no such column, or the field is empty.
    pub(super) optional: Vec<Option<String>>,
}

/// Reads the columns `path` and `column` of the list at `index`, and those columns of `optional` that the list has.
///
/// The file is comma-separated text (RFC 4180) in UTF-8, with or without a byte order mark. Its first line names the
/// columns; other columns and blank lines are skipped.
///
/// # Errors
/// An unreadable file, a missing column, or a row of another length than the first line.
pub(super) fn read(index: &Path, column: &str, optional: &[&str]) -> Result<Vec<Row>, IndexError> {
    let text = std::fs::read_to_string(index)
        .map_err(|source| IndexError::Read { path: index.to_owned(), source })?;
    parse(&text, column, optional).map_err(|fault| fault.in_file(index))
}

/// A fault in a line of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn in_file(self, path: &Path) -> IndexError {
        IndexError::Form { path: path.to_owned(), line: self.line, reason: self.reason }
    }
}

fn parse(text: &str, column: &str, optional: &[&str]) -> Result<Vec<Row>, Fault> {
    let table = Table::parse(text)?;
    let (path, value) = (table.position("path")?, table.position(column)?);
    let optional: Vec<Option<usize>> = optional.iter().map(|name| table.position(name).ok()).collect();
    let row = |(line, mut fields): NumberedRow| {
        let mut take = |at: usize| fields.get_mut(at).map(std::mem::take).unwrap_or_default();
        let optional = optional.iter().map(|at| at.map(&mut take).filter(|text| !text.is_empty())).collect();
        Row { line, path: take(path), value: take(value), optional }
    };
    Ok(table.rows.into_iter().map(row).collect())
}

/// The number of a row's first line, counted from 1, and the row's fields.
pub(super) type NumberedRow = (usize, Vec<String>);

/// A list with its columns' names.
pub(super) struct Table {
    pub(super) names: Vec<String>,
    /// Each row has one field per name.
    pub(super) rows: Vec<NumberedRow>,
}

impl Table {
    /// Reads comma-separated text. It skips lines in which no field has text.
    ///
    /// # Errors
    /// A row has another length than the first line, or a field contains a line break. Line breaks are refused because
    /// an unclosed quote would hide all lines up to the next quote.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| Fault { line: 1, reason: error.to_string() })?;
            if record.iter().any(|field| !field.trim().is_empty()) {
                rows.push((line_of(text, &record), record.iter().map(str::to_owned).collect::<Vec<_>>()));
            }
        }
        let mut rows = rows.into_iter();
        let names = rows.next().map(|(_, names)| names).unwrap_or_default();
        let rows: Vec<NumberedRow> = rows.collect();
        for (line, fields) in &rows {
            if fields.iter().any(|field| field.contains(['\n', '\r'])) {
                return Err(Fault { line: *line, reason: "a line break within quotes".into() });
            }
            if fields.len() != names.len() {
                let reason = format!("{} fields, not {}", fields.len(), names.len());
                return Err(Fault { line: *line, reason });
            }
        }
        Ok(Self { names, rows })
    }

    /// The index of a column.
    ///
    /// # Errors
    /// No column has this name.
    pub(super) fn position(&self, wanted: &str) -> Result<usize, Fault> {
        let found = self.names.iter().position(|name| name == wanted);
        found.ok_or_else(|| Fault { line: 1, reason: format!("there is no column `{wanted}`") })
    }
}

/// The line in which a record begins, counted from 1. The reader's own line numbers are wrong after CRLF and blank
/// lines.
fn line_of(text: &str, record: &StringRecord) -> usize {
    let start = record.position().map_or(0, |position| position.byte() as usize);
    let (before, rest) = text.as_bytes().split_at(start.min(text.len()));
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    1 + before.iter().chain(skipped).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: usize, path: &str, value: &str) -> Row {
        Row { line, path: path.to_owned(), value: value.to_owned(), optional: Vec::new() }
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "\u{feff}age,race,path\r\n7,\"a, b\",one.jpg\r\n\r\n31.5,,\"a \"\"b\"\".jpg\"\r\n";
        assert_eq!(parse(text, "age", &[]).unwrap(), [row(2, "one.jpg", "7"), row(4, "a \"b\".jpg", "31.5")]);
    }

    #[test]
    fn optional_columns_may_be_missing_or_empty() {
        let text = "path,label,subject\na,live,7\nb,print,\n";
        let rows = parse(text, "label", &["source", "subject"]).unwrap();
        let found: Vec<_> = rows.into_iter().map(|row| row.optional).collect();
        assert_eq!(found, [[None, Some("7".to_owned())], [None, None]]);
    }

    #[test]
    fn rows_of_empty_fields_are_blank_lines() {
        // Spreadsheets write such rows below a table.
        assert_eq!(parse("path,age\na,1\n,\n , \n", "age", &[]).unwrap(), [row(2, "a", "1")]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, reason) in [
            ("", 1, "no column `path`"),
            ("path,years\n", 1, "no column `age`"),
            ("path,age\na,1\nb\n", 3, "1 fields, not 2"),
            ("path,age\r\na,1\r\n \r\n\r\nb,1,2\r\n", 5, "3 fields, not 2"),
            ("path,age\na,\"1\nb,2\n", 2, "a line break within quotes"),
            ("path,age,note\n,,\na,1,\"of two\nlines\"\n", 3, "a line break within quotes"),
        ] {
            let fault = parse(text, "age", &[]).unwrap_err();
            assert!(fault.line == line && fault.reason.contains(reason), "{text:?}: {fault:?}");
        }
    }
}
