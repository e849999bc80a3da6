//! Converts the bytes and texts of a request to typed values.

use std::fmt;

use super::schema::{Kind, MAX_VALUE_BYTES};
use crate::fault::Fault;

/// A value of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Integer(i64),
}

impl Value {
    /// Parses the text of the value `name`.
    pub(super) fn parse(name: &str, kind: Kind, text: &str) -> Result<Self, Fault> {
        match kind {
            Kind::Text if text.len() > MAX_VALUE_BYTES => {
                invalid(name, &format!("is longer than {MAX_VALUE_BYTES} bytes"))
            }
            Kind::Text => Ok(Self::Text(text.to_owned())),
            Kind::Flag if text.eq_ignore_ascii_case("true") => Ok(Self::Flag(true)),
            Kind::Flag if text.eq_ignore_ascii_case("false") => Ok(Self::Flag(false)),
            Kind::Flag => invalid(name, "must be true or false"),
            Kind::Integer => match whole_number(text) {
                Some(number) => Ok(Self::Integer(number)),
                None => invalid(name, "must be a whole number"),
            },
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Flag(flag) => flag.fmt(formatter),
            Self::Integer(number) => number.fmt(formatter),
        }
    }
}

/// Parses a whole number. Some clients write it as `18.0`.
fn whole_number(text: &str) -> Option<i64> {
    /// Up to 2^53 an `f64` represents every whole number exactly.
    const MAX_EXACT: f64 = (1_i64 << 53) as f64;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i64)
}

/// Decodes UTF-8 and removes the byte order mark and outer white space.
pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(str::trim).or_else(|_| invalid(name, "is not UTF-8"))
}

/// Removes one pair of outer double quotes. The original service's documentation writes `imageType="SELFIE"`.
pub(super) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// The refusal of the field `name`. `what` completes the sentence that begins with the name.
pub(super) fn invalid<T>(name: &str, what: &str) -> Result<T, Fault> {
    Err(Fault::Invalid(format!("`{name}` {what}")))
}

/// The refusal of a request without the field `name`.
pub(super) fn missing<T>(name: &str) -> Result<T, Fault> {
    invalid(name, "is missing")
}
