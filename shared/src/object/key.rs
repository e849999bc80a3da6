//! The keys of objects.

use super::error::ObjectError;

/// Returns `key` if its `/`-separated segments are not empty, lead to no parent folder, and have allowed characters only.
///
/// # Errors
/// [`ObjectError::Key`].
pub(super) fn checked_key(key: &str) -> Result<&str, ObjectError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_allowed);
    if key.split('/').all(is_segment) { Ok(key) } else { Err(ObjectError::Key(key.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_no_other_place() {
        for key in ["a", "sessions/8f0e/faces/1.jpg", "A-b_c.d", "...", "a/..b"] {
            assert!(checked_key(key).is_ok(), "{key}");
        }
        for key in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "~a", "a b", "a\\b", "é", "a\0", "a:b"]
        {
            assert!(matches!(checked_key(key), Err(ObjectError::Key(_))), "{key}");
        }
    }
}
