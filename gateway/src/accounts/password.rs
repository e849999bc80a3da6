//! Passwords as an installation keeps them.

use std::fmt;
use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use serde::{Deserialize, Deserializer, de};

/// A password's hash: Argon2id with its parameters and its salt, as a PHC string.
///
/// Passwords can be guessed, so that each guess has to be expensive: 19 MiB and two passes (OWASP's first choice, and the
/// library's default) take some 50 ms of a core.
#[derive(Clone)]
pub(super) struct Password(Box<PasswordHash>);

impl Password {
    /// The hash of a new password, under a salt of its own.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn hash(password: &[u8]) -> Result<Self, argon2::password_hash::Error> {
        Argon2::default().hash_password(password).map(|hash| Self(Box::new(hash)))
    }

    /// A hash as [`Password::as_phc`] gives it; nothing else, and no other algorithm, is taken.
    pub(super) fn from_phc(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        (hash.algorithm.as_str() == "argon2id" && is_whole).then(|| Self(Box::new(hash)))
    }

    /// Whether this is the password. Takes its time, and that in constant time.
    pub(super) fn is(&self, password: &[u8]) -> bool {
        // The parameters are the hash's own.
        Argon2::default().verify_password(password, &*self.0).is_ok()
    }

    /// The hash as it stands in the file.
    pub(super) fn as_phc(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is not repeated: it may be a password in the wrong place.
        Self::from_phc(&text)
            .ok_or_else(|| de::Error::custom("expected a password's Argon2id hash, as $argon2id$v=19$…"))
    }
}

/// Passwords that were found right, by a digest under a key that only this process ever has, so that only the first
/// request with one pays for the slow hash.
pub(super) struct Memory(hmac::Key);

/// What is remembered of one user: one password at most.
#[derive(Default)]
pub(super) struct Remembered(OnceLock<hmac::Tag>);

impl Memory {
    pub(super) fn new() -> Self {
        // Nothing is written down under it, so that a key out of the generator of the process is enough.
        Self(hmac::Key::new(HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }

    pub(super) fn digest(&self, password: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, password)
    }
}

impl Remembered {
    /// Whether the password with this digest was right before; in constant time.
    pub(super) fn is(&self, digest: &hmac::Tag) -> bool {
        self.0.get().is_some_and(|right| verify_slices_are_equal(right.as_ref(), digest.as_ref()).is_ok())
    }

    pub(super) fn right(&self, digest: hmac::Tag) {
        // Another request may have been first, with the same password: there is only one.
        let _ = self.0.set(digest);
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    fn parse(text: &str) -> Result<Password, String> {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        Password::deserialize(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_known_by_its_hash_and_nothing_else_is() {
        let hash = Password::hash("Zoë's".as_bytes()).unwrap();
        let read = parse(&hash.as_phc()).unwrap();
        assert!(read.is("Zoë's".as_bytes()) && !read.is(b"Zoe's") && !read.is(b""));
        assert_ne!(Password::hash(b"x").unwrap().as_phc(), Password::hash(b"x").unwrap().as_phc());
        assert!(!format!("{read:?}").contains("argon2"));
    }

    #[test]
    fn only_argon2id_is_taken_and_a_plain_password_is_not_repeated() {
        let hash = Password::hash(b"x").unwrap().as_phc();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for wrong in ["hunter2", "", &hash.replace("argon2id", "argon2i"), "$argon2id$v=19$m=19456,t=2,p=1"] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains("Argon2id") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_right_password_is_remembered_under_the_key_of_the_memory() {
        let (memory, other) = (Memory::new(), Memory::new());
        let remembered = Remembered::default();
        assert!(!remembered.is(&memory.digest(b"right")));
        remembered.right(memory.digest(b"right"));
        assert!(remembered.is(&memory.digest(b"right")));
        assert!(!remembered.is(&memory.digest(b"wrong")) && !remembered.is(&other.digest(b"right")));
    }
}
