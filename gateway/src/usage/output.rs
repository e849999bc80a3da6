//! The forms in which usage is exported.

use std::io::{self, Write};

use serde::Serialize;

/// Format of an export.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// CSV with a header line (RFC 4180)
    #[default]
    Csv,
    /// One JSON object per line
    Json,
}

/// Writes rows in one of the formats.
pub(super) enum RowWriter<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

impl<W: Write> RowWriter<W> {
    /// A writer to `out`. CSV begins with `header`, even if no row follows.
    ///
    /// # Errors
    /// The errors of `out`.
    pub(super) fn new(format: Format, header: &[&str], out: W) -> io::Result<Self> {
        if format == Format::Json {
            return Ok(Self::Json(out));
        }
        let mut table = csv::WriterBuilder::new()
            .has_headers(false)
            .quote_style(csv::QuoteStyle::Necessary)
            .terminator(csv::Terminator::CRLF)
            .from_writer(out);
        table.write_record(header).map_err(io_error)?;
        Ok(Self::Csv(Box::new(table)))
    }

    /// Writes a row, whose members are in the order of the header.
    ///
    /// # Errors
    /// The errors of `out`.
    pub(super) fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        match self {
            Self::Csv(table) => table.serialize(row).map_err(io_error),
            Self::Json(out) => {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")
            }
        }
    }

    /// Writes the buffered rows.
    ///
    /// # Errors
    /// The errors of `out`.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(table) => table.flush(),
            Self::Json(out) => out.flush(),
        }
    }
}

/// Returns the I/O error of the underlying writer with its own kind; wraps any other error of the CSV writer.
fn io_error(error: csv::Error) -> io::Error {
    if !error.is_io_error() {
        return io::Error::other(error);
    }
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(header: &[&str], rows: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let mut writer = RowWriter::new(Format::Csv, header, &mut out).unwrap();
        rows.iter().for_each(|row| writer.write(row).unwrap());
        writer.flush().unwrap();
        drop(writer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_quoted_where_a_table_needs_it() {
        let row: &[&str] = &["plain", "", "a,b", "say \"hi\"", "two\nlines"];
        let out = written(&["1", "2", "3", "4", "5"], &[row]);
        assert_eq!(out, "1,2,3,4,5\r\nplain,,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
    }

    #[test]
    fn nothing_else_is_quoted() {
        let header = ["a", "b", "c", "d", "e", "f"];
        let rows: [&[&str]; 2] = [
            &[" x ", "#", "-1.5", "=1+1", "it's", "a;b\tc"],
            &["", "", "", "", "", "\u{feff}\u{e4}\u{2028}\\\u{0}"],
        ];
        let expected = rows.map(|row| row.join(",")).join("\r\n");
        assert_eq!(written(&header, &rows), format!("a,b,c,d,e,f\r\n{expected}\r\n"));
        let quoted: &[&str] = &["\r", "\"", "", "", "", ""];
        assert_eq!(written(&header, &[quoted]), "a,b,c,d,e,f\r\n\"\r\",\"\"\"\",,,,\r\n");
    }

    proptest! {
        #[test]
        fn a_value_is_quoted_for_comma_quote_and_line_end_only(
            row in prop::array::uniform3(prop_oneof![any::<String>(), "[a,\"\r\n ]{0,6}"])
        ) {
            let quoted = row.each_ref().map(|value| {
                if value.contains([',', '"', '\r', '\n']) {
                    format!("\"{}\"", value.replace('"', "\"\""))
                } else {
                    value.clone()
                }
            });
            let expected = format!("a,b,c\r\n{}\r\n", quoted.join(","));
            prop_assert_eq!(written(&["a", "b", "c"], &[&row.each_ref().map(String::as_str)]), expected);
        }
    }

    #[test]
    fn a_table_without_rows_has_a_header_and_json_has_none() {
        assert_eq!(written(&["a", "b"], &[]), "a,b\r\n");
        let mut out = Vec::new();
        RowWriter::new(Format::Json, &["a", "b"], &mut out).unwrap().flush().unwrap();
        assert!(out.is_empty());
    }
}
