//! Hashes of passwords, and a cache of correct passwords.

use std::fmt;
use std::sync::OnceLock;

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use serde::{Deserialize, Deserializer, de};

/// The hash of a password: Argon2id with its parameters and its salt, stored as a PHC string.
///
/// Passwords can be guessed, so each guess must be expensive. 19 MiB and two passes take some 50 ms of a core. OWASP
/// recommends these parameters first, and they are the default of the library.
#[derive(Clone)]
pub(super) struct PasswordHash(Box<phc::PasswordHash>);

impl PasswordHash {
    /// The hash of a new password, with a new salt.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn hash(password: &[u8]) -> Result<Self, argon2::password_hash::Error> {
        Argon2::default().hash_password(password).map(|hash| Self(Box::new(hash)))
    }

    /// Parses the text of [`PasswordHash::as_phc`]. Other algorithms are refused.
    pub(super) fn from_phc(text: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        (hash.algorithm.as_str() == "argon2id" && is_whole).then(|| Self(Box::new(hash)))
    }

    /// Whether this is the password. Takes some 50 ms, and compares in constant time.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // The parameters come from the hash.
        Argon2::default().verify_password(password, &*self.0).is_ok()
    }

    /// The hash as the accounts file stores it.
    pub(super) fn as_phc(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The message does not repeat the text, which may be a misplaced password.
        Self::from_phc(&text)
            .ok_or_else(|| de::Error::custom("expected a password's Argon2id hash, as $argon2id$v=19$…"))
    }
}

/// Computes digests of passwords under a key that only this process has. With the cached digests of correct ones, only
/// the first request with a password needs the slow hash.
pub(super) struct PasswordCache(hmac::Key);

/// The digest of one user's password, once it was found correct.
#[derive(Default)]
pub(super) struct CachedPassword(OnceLock<hmac::Tag>);

impl PasswordCache {
    pub(super) fn new() -> Self {
        // No digest leaves the process, so a key from its own random generator is enough.
        Self(hmac::Key::new(HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }

    pub(super) fn digest(&self, password: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, password)
    }
}

impl CachedPassword {
    /// Whether the password with this digest was found correct before. Compares in constant time.
    pub(super) fn matches(&self, digest: &hmac::Tag) -> bool {
        self.0.get().is_some_and(|right| verify_slices_are_equal(right.as_ref(), digest.as_ref()).is_ok())
    }

    pub(super) fn insert(&self, digest: hmac::Tag) {
        // If another request was faster, it has cached the same password: a user has only one.
        let _ = self.0.set(digest);
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    fn parse(text: &str) -> Result<PasswordHash, String> {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        PasswordHash::deserialize(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_known_by_its_hash_and_nothing_else_is() {
        let hash = PasswordHash::hash("Zoë's".as_bytes()).unwrap();
        let read = parse(&hash.as_phc()).unwrap();
        assert!(read.verify("Zoë's".as_bytes()) && !read.verify(b"Zoe's") && !read.verify(b""));
        assert_ne!(PasswordHash::hash(b"x").unwrap().as_phc(), PasswordHash::hash(b"x").unwrap().as_phc());
        assert!(!format!("{read:?}").contains("argon2"));
    }

    #[test]
    fn only_argon2id_is_taken_and_a_plain_password_is_not_repeated() {
        let hash = PasswordHash::hash(b"x").unwrap().as_phc();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for wrong in ["hunter2", "", &hash.replace("argon2id", "argon2i"), "$argon2id$v=19$m=19456,t=2,p=1"] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains("Argon2id") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_right_password_is_remembered_under_the_key_of_the_memory() {
        let (memory, other) = (PasswordCache::new(), PasswordCache::new());
        let cached = CachedPassword::default();
        assert!(!cached.matches(&memory.digest(b"right")));
        cached.insert(memory.digest(b"right"));
        assert!(cached.matches(&memory.digest(b"right")));
        assert!(!cached.matches(&memory.digest(b"wrong")) && !cached.matches(&other.digest(b"right")));
    }
}
