//! What a capture token opens.

use faceline_gateway_store::sessions::SessionName;
use uuid::Uuid;

use super::capture_token::CaptureToken;
use super::record::ReplayRecord;
use super::service::Replays;
use crate::fault::Fault;

/// On whose behalf a device calls that shows a capture token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenHolder {
    /// The client of the session.
    pub client: String,
    /// Id of the API key with which the replay was made.
    pub key: String,
}

impl Replays {
    /// On whose behalf the holder of a capture token calls for the replay of `session`. `None` if the token is not that of the
    /// session's replay: it is forged, belongs to another session or an earlier replay, or its session has ended.
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub async fn token_holder(&self, token: &[u8], session: Uuid) -> Result<Option<TokenHolder>, Fault> {
        let Some(token) = CaptureToken::open(&self.tokens, token) else { return Ok(None) };
        if token.session != session {
            return Ok(None);
        }
        let name = SessionName { client: token.client.clone(), id: session };
        let replay = match self.sessions.replay::<ReplayRecord>(&name).await {
            Ok(replay) => replay,
            Err(Fault::NotFound(_)) => None,
            Err(fault) => return Err(fault),
        };
        let is_current = replay.is_some_and(|replay| token.has_digest(&replay.record.capture_token));
        Ok(is_current.then_some(TokenHolder { client: token.client, key: token.key }))
    }
}
