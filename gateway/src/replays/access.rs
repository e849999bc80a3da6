//! The owner of a replay by a capture token, or by the id of a web-capture session.

use std::time::Duration;

use faceline_gateway_store::sessions::SessionName;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::capture_token::CaptureToken;
use super::record::{ReplayOrigin, ReplayRecord};
use super::service::Replays;
use crate::fault::Fault;

/// The client and API key on whose behalf a device without an API key calls.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReplayOwner {
    /// The client of the session.
    pub client: String,
    /// Id of the API key with which the replay was made.
    pub key: String,
}

impl Replays {
    /// Returns the owner on whose behalf the holder of a capture token calls for the replay of `session`. `None` if
    /// the token is not that of the session's replay: it is forged, belongs to another session or an earlier replay,
    /// or its session has ended.
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub async fn owner_by_token(&self, token: &[u8], session: Uuid) -> Result<Option<ReplayOwner>, Fault> {
        let Some(token) = CaptureToken::open(&self.tokens, token) else { return Ok(None) };
        if token.session != session {
            return Ok(None);
        }
        let name = SessionName { client: token.client.clone(), id: session };
        let replay = self.replay_of(&name).await?;
        let is_current = replay.is_some_and(|replay| token.has_digest(&replay.capture_token));
        Ok(is_current.then_some(ReplayOwner { client: token.client, key: token.key }))
    }

    /// Stores the owner of a web-capture session for `ttl`, if `capture.session_id_authorises` is set. `key` is the
    /// id of the API key that creates the session.
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub async fn keep_owner(&self, name: &SessionName, key: &str, ttl: Duration) -> Result<(), Fault> {
        if !self.capture.session_id_authorises {
            return Ok(());
        }
        let owner = ReplayOwner { client: name.client.clone(), key: key.to_owned() };
        self.sessions.keep_owner(name.id, &owner, ttl).await
    }

    /// Returns the owner on whose behalf a capture page calls whose only credential is the id of a session. `None`
    /// unless all of the following hold: the session was made for web capture while the settings allowed this, it has
    /// not ended, and its replay is one of web capture (that of its creation or a later one).
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub async fn owner_by_session_id(&self, session: Uuid) -> Result<Option<ReplayOwner>, Fault> {
        if !self.capture.session_id_authorises {
            return Ok(None);
        }
        let Some(owner) = self.sessions.owner::<ReplayOwner>(session).await? else { return Ok(None) };
        let replay = self.replay_of(&SessionName { client: owner.client.clone(), id: session }).await?;
        let is_of_page = |replay: ReplayRecord| matches!(replay.origin, ReplayOrigin::WebCapture { .. });
        Ok(replay.is_some_and(is_of_page).then_some(owner))
    }

    /// The replay of a session; `None` also if there is no session.
    async fn replay_of(&self, name: &SessionName) -> Result<Option<ReplayRecord>, Fault> {
        match self.sessions.replay::<ReplayRecord>(name).await {
            Ok(replay) => Ok(replay.map(|replay| replay.record)),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
