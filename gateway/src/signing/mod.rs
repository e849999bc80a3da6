//! Signatures of answers (JWS, RFC 7515) and the keys that make them.
//!
//! The signature covers the text of the answer without its last member, `signature`. `gateway/api/signatures.md` tells callers
//! how to check it.

mod command;
mod error;
mod jwk;
mod key;
mod key_file;
mod key_set;
mod signer;

pub use self::command::{SigningCommand, SigningCommandError};
pub use self::error::{SignError, SigningError};
pub(crate) use self::jwk::JwkSet;
pub use self::jwk::MAX_AGE;
pub use self::key_file::{ANNOUNCEMENT, KeyFile};
pub use self::signer::Signer;
