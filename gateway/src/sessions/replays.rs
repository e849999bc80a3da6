//! The replays of sessions: reading a record and changing it.

use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome, SessionName};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::faults::{no_session, record_fault};
use super::service::Sessions;
use crate::fault::Fault;
use crate::request::record::note_work_done;

impl Sessions {
    /// The replay of a session; `None` before its first one.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, and the faults of an unavailable store.
    pub(crate) async fn replay<R: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<OpenedReplay<R>>, Fault> {
        match self.records.replay(name).await.map_err(|error| record_fault(&error))? {
            ReplayLookup::Found(replay) => Ok(Some(replay)),
            ReplayLookup::NoReplay => Ok(None),
            ReplayLookup::NoSession => Err(no_session()),
        }
    }

    /// Changes the replay of a session within the bounds of its client. False if it has another revision than expected.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, [`Fault::Busy`] if the client keeps as much as it may, and the faults of an
    /// unavailable store.
    pub(crate) async fn change_replay<R: Serialize, P: Serialize>(
        &self,
        name: &SessionName,
        change: &UnsealedChange<'_, R, P>,
    ) -> Result<bool, Fault> {
        let changed = self.records.change_replay(name, change, &self.bounds.of(&name.client)).await;
        match changed.map_err(|error| self.bounds.creation_fault(&error))? {
            ReplayOutcome::Changed { .. } => {
                note_work_done();
                Ok(true)
            }
            ReplayOutcome::OtherRevision => Ok(false),
            ReplayOutcome::NoSession => Err(no_session()),
        }
    }
}
