//! The parameters of a replay.

use anyhow::Context as _;
use base64_simd::STANDARD;
use serde::Deserialize;

use super::verified::PinnedKeys;

/// The parameters of a replay, whose signature was verified.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The replay's id.
    pub id: String,
    /// The seed of the challenges.
    pub seed: u32,
    /// Number of challenges; 0 without any.
    pub challenge_count: u8,
    /// Random bytes that the upload repeats.
    pub server_random: [u8; 32],
    /// The certificate for which the upload is encrypted, as DER.
    pub certificate: Vec<u8>,
    /// The header `X-Capture-Token` of the answer; absent where the parameters are read again.
    pub capture_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    id: String,
    seed: u32,
    #[serde(default)]
    nb_challenge: u8,
    server_random: String,
    certificates: Vec<String>,
}

impl Parameters {
    /// Reads the body of an answer that one of `keys` has signed. The result has no capture token, because that is in
    /// the answer's head.
    ///
    /// # Errors
    /// None of the keys has signed the body, or the payload is malformed.
    pub fn verified(body: &str, keys: &PinnedKeys) -> anyhow::Result<Self> {
        Self::parse(&keys.verified(body)?, None)
    }

    /// Reads the verified payload of the answer.
    pub(super) fn parse(payload: &[u8], capture_token: Option<String>) -> anyhow::Result<Self> {
        let members: Members = serde_json::from_slice(payload).context("the parameters")?;
        let server_random = STANDARD.decode_to_vec(&members.server_random)?;
        let first = members.certificates.first().context("the parameters have no certificate")?;
        Ok(Self {
            id: members.id,
            seed: members.seed,
            challenge_count: members.nb_challenge,
            server_random: server_random
                .try_into()
                .map_err(|_| anyhow::anyhow!("serverRandom has another length"))?,
            certificate: STANDARD.decode_to_vec(first)?,
            capture_token,
        })
    }
}
