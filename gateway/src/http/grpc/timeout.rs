//! The deadline that a gRPC caller sends with its call.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::fault::Fault;

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Maximum digits of a timeout, as the gRPC protocol defines them.
const MAX_DIGITS: usize = 8;

/// The deadline of the caller of a request that arrived at `received`; `None` if it sends no timeout.
///
/// # Errors
/// [`Fault::Invalid`] for a header that is no timeout.
pub(in crate::http) fn deadline(headers: &HeaderMap, received: Instant) -> Result<Option<Instant>, Fault> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let timeout = value.to_str().ok().and_then(parse);
    let timeout = timeout.ok_or_else(|| Fault::Invalid("`grpc-timeout` is not of the form".into()))?;
    // A deadline that the clock cannot represent is never reached.
    Ok(received.checked_add(timeout))
}

/// One to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("30S", Duration::from_secs(30)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789S", "1Sx", "1\u{b5}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
