//! Requests that happen once, however often their caller sends them.
//!
//! What a request makes has an id that all its runs share. So a run that was cut off, and may or may not have made
//! something, is repeated without making it twice.

use std::time::Duration;

use crate::fault::Fault;
use faceline_gateway_store::session::once::{Begun, Digest, Once, digest};
use faceline_gateway_store::session::{SealedSessions, SessionError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Sessions, record_fault};

/// Answers are kept for so long.
const KEPT: Duration = Duration::from_hours(24);
/// Besides its deadline, the time after which a request counts as cut off.
const GRACE: Duration = Duration::from_secs(5);
/// Who comes while the first run is at it, comes again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A request as its caller names it.
#[derive(Clone, Copy, Debug)]
pub struct Repeatable<'a> {
    /// The client; others may use the same key.
    pub client: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// The caller's key.
    pub key: &'a str,
    /// The path.
    pub path: &'a str,
    /// Digest of the body.
    pub body: Digest,
}

/// Whose turn it is.
pub enum Turn<A> {
    /// This request's.
    Mine(Run),
    /// An earlier one had it and got this answer.
    Answered(A),
}

/// A request's turn. Where it is dropped before it is over, the next one may try.
pub struct Run {
    records: SealedSessions,
    once: Once,
    over: bool,
}

impl Sessions {
    /// Begins a request, unless one of the same name has been answered.
    ///
    /// # Errors
    /// Another one is at it, the name is that of another request, or the store is away.
    pub async fn once<A: DeserializeOwned>(&self, request: &Repeatable<'_>) -> Result<Turn<A>, Fault> {
        let mut once = request.once(Uuid::new_v4(), self.deadline + GRACE);
        match self.records.begin(&once).await.map_err(|error| record_fault(&error))? {
            Begun::Go { subject } => {
                once.subject = subject;
                Ok(Turn::Mine(Run { records: self.records.clone(), once, over: false }))
            }
            Begun::Running(left) => Err(Fault::InProgress { retry_after: left.min(LOOK_AGAIN) }),
            Begun::Done(answer) => Ok(Turn::Answered(answer)),
            Begun::Different => Err(Fault::KeyReused),
        }
    }
}

impl Repeatable<'_> {
    fn once(&self, subject: Uuid, lease: Duration) -> Once {
        let name = [self.client, self.operation, self.key].map(str::as_bytes);
        // With the name, so that nobody finds out by the digest alone which picture it was.
        let content = [self.path.as_bytes(), &self.body];
        Once {
            name: digest(name),
            fingerprint: digest(name.into_iter().chain(content)),
            subject,
            run: Uuid::new_v4(),
            lease,
            kept: KEPT,
        }
    }
}

impl Run {
    /// Id of what the request makes.
    #[must_use]
    pub fn subject(&self) -> Uuid {
        self.once.subject
    }

    /// Ends the run with the answer for all who come again.
    pub async fn answer(mut self, answer: &impl Serialize) {
        self.over = true;
        note(self.records.end(&self.once, Some(answer)).await);
    }

    /// Ends the run without an answer: who comes again has a turn.
    pub async fn give_up(mut self) {
        self.over = true;
        note(self.records.end(&self.once, None::<&()>).await);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (records, once) = (self.records.clone(), self.once);
        tokio::spawn(async move { note(records.end(&once, None::<&()>).await) });
    }
}

/// Where the store is away, the next one has its turn when the lease is over, and makes the same again.
fn note(ended: Result<bool, SessionError>) {
    match ended {
        Ok(true) => (),
        Ok(false) => tracing::debug!("another request has taken over"),
        Err(error) => tracing::warn!(%error, "the answer to a request is not kept"),
    }
}
