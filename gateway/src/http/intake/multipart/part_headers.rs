//! The headers of a part: its name, and the coding of its content.

use crate::fault::Fault;

/// The parsed headers of a part.
#[derive(Debug, Default, Eq, PartialEq)]
pub(in crate::http::intake) struct PartHeaders {
    /// The name of the part; `None` where it has none.
    pub(in crate::http::intake) name: Option<String>,
    /// `Content-Transfer-Encoding`.
    pub(super) coding: Option<String>,
}

impl PartHeaders {
    /// Reads header lines. A line that begins with white space continues the one before (RFC 5322, 2.2.3).
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a line that is no header.
    pub(super) fn parse(block: &[u8]) -> Result<Self, Fault> {
        let text = String::from_utf8_lossy(block);
        let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut headers = Self::default();
        for line in unfolded.split("\r\n").filter(|line| !line.is_empty()) {
            // Control characters are not allowed in a header, and parsers interpret them differently.
            let is_text = line.chars().all(|character| character == '\t' || !character.is_ascii_control());
            let Some((name, value)) = line.split_once(':').filter(|_| is_text) else {
                return Err(Fault::Invalid(
                    "malformed multipart body: a part has a line that is no header".into(),
                ));
            };
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("content-disposition") {
                headers.name = headers.name.or_else(|| parameter(value, "name"));
            } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
                headers.coding = Some(value.to_owned());
            }
        }
        Ok(headers)
    }
}

/// The first parameter of this name in `type; a=b; c="d"`.
///
/// In a file's name, some clients write `\"` for a quote, and others write a backslash as it is, also before the
/// closing quote. Both interpretations are tried. The first one in which the parameter is found counts.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    [true, false].into_iter().find_map(|escapes| find_parameter(value, wanted, escapes))
}

fn find_parameter(value: &str, wanted: &str, escapes: bool) -> Option<String> {
    let mut rest = value;
    loop {
        (_, rest) = split_at_semicolon(rest, escapes)?;
        let (parameter, _) = split_at_semicolon(rest, escapes).unwrap_or((rest, ""));
        let Some((name, content)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(unquoted(content.trim(), escapes));
        }
    }
}

/// Splits a text at the first semicolon outside of quotes. Returns `None` without one.
fn split_at_semicolon(text: &str, escapes: bool) -> Option<(&str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted && escapes => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => return Some((&text[..at], &text[at + 1..])),
            _ => (),
        }
    }
    None
}

fn unquoted(text: &str, escapes: bool) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    if escapes { inner.replace("\\\"", "\"").replace("\\\\", "\\") } else { inner.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(disposition: &str) -> Option<String> {
        PartHeaders::parse(format!("Content-Disposition: {disposition}").as_bytes()).unwrap().name
    }

    #[test]
    fn the_name_is_that_of_the_part_and_not_of_its_file() {
        for disposition in [
            r#"form-data; name="image""#,
            "form-data; name=image",
            "form-data;name=image;filename=x.jpg",
            r#"form-data; filename="x; name=face"; name="image""#,
            r#"form-data; filename="name=\"face\"; name=face"; name="image""#,
            r#"form-data; filename="a \" b; name=face"; name=image"#,
            r#"form-data; filename="C:\pictures\"; name="image""#,
            r#"form-data; NAME = "image" ; filename="C:\new\x.jpg""#,
            r#"form-data; name="image"; filename=" name=face""#,
            "form-data; filename*=UTF-8''%3B%20name%3Dface.jpg; name=\"image\"",
            "form-data; filename=\"naïve 王.jpg\"; filename*=UTF-8''na%C3%AFve.jpg; name=image",
            "form-data; other; xname=face; name*=no; name=image; name=face",
            "attachment; name=image",
        ] {
            assert_eq!(name(disposition).as_deref(), Some("image"), "{disposition}");
        }
        for disposition in ["form-data", "form-data; filename=\"name=image\"", "name=image", ""] {
            assert_eq!(name(disposition), None, "{disposition}");
        }
        assert_eq!(name(r#"form-data; name="a \"b\" \\c""#).as_deref(), Some(r#"a "b" \c"#));
    }

    #[test]
    fn headers_may_be_folded_and_others_are_ignored() {
        let block = "\r\ncontent-disposition: form-data;\r\n name=\"image\";\r\n\tfilename=\"x\"\r\n\
            X-Other:\r\n y\r\nContent-Transfer-Encoding :\r\n  binary";
        let headers = PartHeaders::parse(block.as_bytes()).unwrap();
        assert_eq!((headers.name.as_deref(), headers.coding.as_deref()), (Some("image"), Some("binary")));
        assert_eq!(PartHeaders::parse(b"").unwrap(), PartHeaders::default());
        for block in ["no header", "a: b\0", "a: b\rc: d", "a: b\nc: d", "a: \u{7f}"] {
            assert!(PartHeaders::parse(block.as_bytes()).is_err(), "{block:?}");
        }
        assert!(PartHeaders::parse(b"X-Latin: \xe9\xff").is_ok());
    }
}
