//! The settings of a client's callbacks in an accounts file: the permitted hosts, and the secrets that sign callbacks.
//!
//! The format of secrets and signatures is that of Standard Webhooks (<https://www.standardwebhooks.com>, version
//! 1.0.0): a secret is `whsec_` and base64 of 24 to 64 bytes, a signature is `v1,` and base64 of HMAC-SHA-256 over
//! `{id}.{timestamp}.{body}`.

use std::fmt::Write as _;

use aws_lc_rs::{hmac, rand};
use base64_simd::STANDARD;
use faceline_shared::seal::{KeyRing, SealError};
use faceline_shared::settings::HostPattern;
use url::Url;

use super::secret;

/// Secrets of a client that sign at the same time: the newest one and its predecessor, during a rotation.
pub(super) const MAX_SECRETS: usize = 2;
/// The beginning of each secret.
const PREFIX: &str = "whsec_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Takes the place of a key's id in the associated data. Ids have no control characters, so no key has this one.
const WEBHOOK_ID: &str = "\nwebhook";

/// A secret that signs callbacks.
#[derive(Clone)]
pub(super) struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// A new random secret.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn generate() -> Result<Self, SealError> {
        let mut bytes = vec![0; SECRET_BYTES];
        rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
        Ok(Self(bytes))
    }

    /// The secret as its client gets it.
    pub(super) fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode_to_string(&self.0))
    }

    /// The secret as the accounts file keeps it.
    pub(super) fn seal(&self, ring: &KeyRing, client: &str) -> Result<String, SealError> {
        Ok(STANDARD.encode_to_string(secret::seal(ring, client, WEBHOOK_ID, &self.0)?))
    }

    /// Opens what [`Self::seal`] made for the same client.
    pub(super) fn open(ring: &KeyRing, client: &str, sealed: &[u8]) -> Result<Self, SealError> {
        secret::open(ring, client, WEBHOOK_ID, sealed).map(Self)
    }

    /// The signature of a callback. `timestamp` is in seconds since the Unix epoch.
    #[must_use]
    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode_to_string(context.sign()))
    }
}

/// The settings of a client's callbacks.
#[derive(Clone, Default)]
pub struct ClientCallbacks {
    /// The hosts that callbacks may address; `None` for all hosts.
    pub(super) hosts: Option<Vec<HostPattern>>,
    /// The secrets that sign them, the newest first.
    pub(super) secrets: Vec<WebhookSecret>,
}

impl ClientCallbacks {
    /// Whether callbacks of the client may go to `url`.
    #[must_use]
    pub fn allow(&self, url: &Url) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|host| host.matches(url)))
    }

    /// The value of the header `webhook-signature`, with a signature of each secret; `None` if the client has none.
    /// `timestamp` is in seconds since the Unix epoch.
    #[must_use]
    pub fn signatures(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        let mut all = String::new();
        for secret in &self.secrets {
            let separator = if all.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(all, "{separator}{}", secret.sign(id, timestamp, body));
        }
        (!all.is_empty()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret(STANDARD.decode_to_vec(text.strip_prefix(PREFIX).unwrap()).unwrap())
    }

    /// The vector that the libraries of Standard Webhooks are tested with.
    #[test]
    fn a_signature_is_that_of_the_published_vector() {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn all_secrets_sign_and_none_does_not() {
        assert_eq!(ClientCallbacks::default().signatures("a", 1, b"x"), None);
        let secrets = vec![WebhookSecret::generate().unwrap(), WebhookSecret::generate().unwrap()];
        let [new, old] = [&secrets[0], &secrets[1]].map(|secret| secret.sign("a", 1, b"x"));
        let callbacks = ClientCallbacks { hosts: None, secrets };
        assert_eq!(callbacks.signatures("a", 1, b"x"), Some(format!("{new} {old}")));
    }

    #[test]
    fn a_secret_opens_for_its_client_only_and_not_as_a_key() {
        let ring = KeyRing::generate().unwrap();
        let made = WebhookSecret::generate().unwrap();
        assert_eq!(secret(&made.reveal()).0, made.0);
        let sealed = STANDARD.decode_to_vec(made.seal(&ring, "bank").unwrap()).unwrap();
        assert_eq!(WebhookSecret::open(&ring, "bank", &sealed).unwrap().0, made.0);
        assert!(WebhookSecret::open(&ring, "shop", &sealed).is_err());
        assert!(secret::open(&ring, "bank", "webhook", &sealed).is_err());
    }

    #[test]
    fn only_named_hosts_are_called_and_without_names_all_are() {
        let allows = |hosts: Option<Vec<HostPattern>>, url: &str| {
            ClientCallbacks { hosts, secrets: vec![] }.allow(&Url::parse(url).unwrap())
        };
        assert!(allows(None, "https://anywhere.example/"));
        let bank = || Some(vec!["*.bank.example".parse().unwrap(), "10.0.0.1:8080".parse().unwrap()]);
        assert!(allows(bank(), "https://app.bank.example/done") && allows(bank(), "http://10.0.0.1:8080/"));
        assert!(!allows(bank(), "https://bank.example.evil/") && !allows(bank(), "http://10.0.0.1/"));
        assert!(!allows(Some(vec![]), "https://app.bank.example/"));
    }
}
