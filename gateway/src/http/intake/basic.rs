//! The credentials of HTTP Basic (RFC 7617).

use http::{HeaderMap, header};

/// User and password of a request with exactly one header `Authorization`, which must be of the scheme `Basic` and
/// well formed.
pub(super) fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64_simd::forgiving_decode_to_vec(encoded.as_bytes()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = str::from_utf8(&decoded[..colon]).ok()?.to_owned();
    Some((user, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Option<(String, String)> {
        let headers: HeaderMap = values
            .iter()
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect();
        credentials(&headers).map(|(user, password)| (user, String::from_utf8(password).unwrap()))
    }

    #[test]
    fn user_and_password_are_parted_by_the_first_colon() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(of(&["Basic ZGVtbzpkZW1v"]), pair("demo", "demo"));
        assert_eq!(of(&["basic  ZGVtbzpkZW1v"]), pair("demo", "demo"));
        // "a:b:ü" without its padding, and ":".
        assert_eq!(of(&["BASIC YTpiOsO8"]), pair("a", "b:ü"));
        assert_eq!(of(&["Basic YTo"]), pair("a", ""));
        assert_eq!(of(&["Basic Og=="]), pair("", ""));
    }

    #[test]
    fn everything_else_is_no_credential() {
        // Among them a text without a colon, and a user that is no UTF-8.
        for value in [
            "",
            "Basic",
            "Basic ",
            "Bearer ZGVtbzpkZW1v",
            "ZGVtbzpkZW1v",
            "Basic %",
            "Basic ZGVtbw==",
            "Basic /zpk",
        ] {
            assert_eq!(of(&[value]), None, "{value}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Basic ZGVtbzpkZW1v", "Basic ZGVtbzpkZW1v"]), None);
    }
}
