//! JSON with numbers in ECMAScript's notation: 581, not 581.0.
//!
//! A caller that parses an answer and writes it with `JSON.stringify` gets the same bytes, and so can check a JWS
//! over the answer.

use std::io;

use serde::Serialize;
use serde_json::error::Category;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::fault::Fault;

/// Writes minified JSON with ECMAScript's numbers.
///
/// # Errors
/// [`serde_json::Error`] for a map key that is no text, or a `Serialize` that fails.
pub fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, EcmaScript))?;
    Ok(bytes)
}

/// Writes an answer as minified JSON with ECMAScript's numbers.
///
/// # Errors
/// [`Fault::Internal`] if the answer cannot be written; the log has the reason.
pub fn answer(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Fault::Internal
    })
}

/// Kind and position of a parse error, for the caller. The text omits the input, which may be a template or a
/// picture.
#[must_use]
pub fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io | Category::Syntax => "no JSON",
        Category::Data => "not of the form",
        Category::Eof => "it ends too early",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// Minified JSON with numbers as `Number::toString` of ECMA-262 (6.1.6.1.20) prints them.
struct EcmaScript;

impl Formatter for EcmaScript {
    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        let mut shortest = Vec::with_capacity(24);
        CompactFormatter.write_f32(&mut shortest, value)?;
        write_number(writer, &shortest)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut shortest = Vec::with_capacity(24);
        CompactFormatter.write_f64(&mut shortest, value)?;
        write_number(writer, &shortest)
    }
}

/// Rewrites a number of serde_json in ECMAScript's notation.
///
/// serde_json already prints the digits of ECMAScript: the shortest that parse back to the same bits, of those the
/// nearest, and of two equally near the even one. (`format!` takes the odd one.)
fn write_number<W: ?Sized + io::Write>(writer: &mut W, shortest: &[u8]) -> io::Result<()> {
    let text = str::from_utf8(shortest).map_err(io::Error::other)?;
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().map_err(io::Error::other)?;

    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return writer.write_all(b"0");
    }
    let count = digits.len() as i32;
    // The number is 0.DIGITS x 10^point.
    let point = whole.len() as i32 + exponent - (all.len() - significant.len()) as i32;
    match point {
        _ if count <= point && point <= 21 => {
            let zeros = "0".repeat((point - count) as usize);
            write!(writer, "{sign}{digits}{zeros}")
        }
        1..=21 => {
            let (whole, fraction) = digits.split_at(point as usize);
            write!(writer, "{sign}{whole}.{fraction}")
        }
        -5..=0 => {
            let zeros = "0".repeat(-point as usize);
            write!(writer, "{sign}0.{zeros}{digits}")
        }
        _ => {
            let (first, others) = digits.split_at(1);
            let dot = if others.is_empty() { "" } else { "." };
            let plus = if point > 0 { "+" } else { "" };
            write!(writer, "{sign}{first}{dot}{others}e{plus}{}", point - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn numbers_stand_as_ecmascript_prints_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (581.0, "581"),
            (-581.5, "-581.5"),
            (100.0, "100"),
            (0.5, "0.5"),
            (0.000001, "0.000001"),
            (0.0000015, "0.0000015"),
            (0.0000001, "1e-7"),
            (1e-15, "1e-15"),
            (2.8650475616752694e-11, "2.8650475616752694e-11"),
            (10269.438178710938, "10269.438178710938"),
            (f64::from_bits(0x42e0_0b50_2d9a_7604), "141126206804912.12"),
            (1e20, "100000000000000000000"),
            (123456789012345680000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(text(&value), expected);
        }
        assert_eq!(text(&1220.5284_f32), "1220.5284");
        assert_eq!(text(&581.0_f32), "581");
        assert_eq!(text(&f64::NAN), "null");
    }

    #[test]
    fn the_rest_is_minified_json() {
        assert_eq!(
            text(&json!({"a": [1, true, null], "b": {"c": "d\n"}})),
            r#"{"a":[1,true,null],"b":{"c":"d\n"}}"#
        );
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_to_the_bit(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite() && value != 0.0);
            let back: f64 = text(&value).parse().unwrap();
            prop_assert_eq!(back.to_bits(), bits);
        }
    }
}
