//! New credentials: their secrets, and the forms in which the file stores them.

use std::io::Write;

use aws_lc_rs::rand;
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use faceline_shared::keys::Keys;
use faceline_shared::seal::SealError;
use faceline_shared::settings::Settings;
use toml_edit::{InlineTable, Value};

use super::error::KeysCommandError;
use crate::accounts::password::PasswordHash;
use crate::accounts::secret::{ApiKeyDigest, seal};

/// Random bytes of API keys and passwords.
const SECRET_BYTES: usize = 32;
/// Random bytes of a BWS key. HMAC-SHA-512 makes use of that many.
const BWS_KEY_BYTES: usize = 64;
/// The shortest password that an operator may choose.
const MIN_PASSWORD_BYTES: usize = 8;
/// The shortest BWS key that an operator may choose.
const MIN_BWS_KEY_BYTES: usize = 16;

/// Kinds of credential
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum CredentialKind {
    /// API key in the header `apikey`
    #[default]
    ApiKey,
    /// User and password (HTTP Basic)
    Basic,
    /// Key that signs the tokens (JWT) of a BWS client
    Bws,
}

/// A value for the output, with its name.
type NamedValue = (&'static str, String);

/// A new secret, before it is written to the file.
pub(super) struct NewCredential {
    /// Name of the user or of the BWS client.
    name: Option<NamedValue>,
    /// The secret in plain text, for the output. `None` if the operator has chosen it.
    secret: Option<NamedValue>,
    /// Kind and value, as the file stores them.
    pub(super) stored: (&'static str, Value),
}

impl NewCredential {
    pub(super) fn new(
        kind: CredentialKind,
        client: &str,
        id: &str,
        name: String,
        chosen: Option<&str>,
        settings: &Settings,
    ) -> Result<Self, KeysCommandError> {
        Ok(match kind {
            CredentialKind::ApiKey => {
                let secret = URL_SAFE_NO_PAD.encode_to_string(random::<SECRET_BYTES>()?);
                let digest = ApiKeyDigest::of(secret.as_bytes()).to_string();
                Self {
                    name: None,
                    secret: Some(("apikey", secret)),
                    stored: ("api_key_sha256", digest.into()),
                }
            }
            CredentialKind::Basic => {
                let made = match chosen {
                    Some(password) if password.len() < MIN_PASSWORD_BYTES => {
                        return Err(KeysCommandError::Secret("a password has 8 bytes at least"));
                    }
                    Some(_) => None,
                    None => Some(URL_SAFE_NO_PAD.encode_to_string(random::<SECRET_BYTES>()?)),
                };
                let password = made.as_deref().or(chosen).unwrap_or_default();
                let hash = PasswordHash::hash(password.as_bytes()).map_err(|_| SealError::Crypto)?;
                let members = [("user", name.clone()), ("password_argon2id", hash.as_phc())];
                Self {
                    name: Some(("user", name)),
                    secret: made.map(|made| ("password", made)),
                    stored: ("basic", InlineTable::from_iter(members).into()),
                }
            }
            CredentialKind::Bws => {
                let key = match chosen {
                    Some(text) => STANDARD
                        .decode_to_vec(text)
                        .map_err(|_| KeysCommandError::Secret("a BWS key is base64"))?,
                    None => random::<BWS_KEY_BYTES>()?.to_vec(),
                };
                if key.len() < MIN_BWS_KEY_BYTES {
                    return Err(KeysCommandError::Secret("a BWS key has 16 bytes at least"));
                }
                let sealed = seal(&Keys::find(settings)?.data, client, id, &key)?;
                let members =
                    [("client_id", name.clone()), ("sealed_key", STANDARD.encode_to_string(sealed))];
                let made = chosen.is_none().then(|| STANDARD.encode_to_string(key));
                Self {
                    name: Some(("bws client", name)),
                    secret: made.map(|made| ("bws key", made)),
                    stored: ("bws", InlineTable::from_iter(members).into()),
                }
            }
        })
    }

    pub(super) fn show(&self, client: &str, id: &str, out: &mut impl Write) -> Result<(), KeysCommandError> {
        writeln!(out, "{:<11} {client}\n{:<11} {id}", "client", "key")?;
        for (what, value) in self.name.iter().chain(&self.secret) {
            writeln!(out, "{what:<11} {value}")?;
        }
        if self.secret.is_some() {
            writeln!(out, "The secret is not shown again.")?;
        }
        Ok(())
    }
}

/// The given id, or a new one. A new id contains random digits and is never used twice: otherwise records of an old key
/// would look like those of a new one.
pub(super) fn new_id(id: Option<String>, client: &str) -> Result<String, SealError> {
    match id {
        Some(id) => Ok(id),
        None => Ok(format!("{client}-{:08x}", u32::from_be_bytes(random()?))),
    }
}

fn random<const LEN: usize>() -> Result<[u8; LEN], SealError> {
    let mut bytes = [0; LEN];
    rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
    Ok(bytes)
}
