//! Sessions, their faces, and the outbox: what must survive the process that wrote it.
//!
//! Two adapters, [`embedded`] and [`redis`], pass one conformance suite. They hold bytes, which [`SealedSessions`] seals;
//! what they know of them is whose they are, when they end, and in which order things happened.

pub mod embedded;
mod lane;
mod millis;
mod name;
pub mod once;
mod outcome;
pub mod redis;
mod sealed;

use faceline_shared::settings::StoreUrl;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

pub use self::lane::Lane;
pub use self::name::SessionName;
pub use self::once::{Begun, Once};
pub use self::outcome::{Deletion, Found, Insertion, StoredSession};
pub use self::sealed::{Due, OpenedRow, SealedSessions, SessionError};

/// Why a session store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be understood.
    #[error("store.url is not usable: {0}")]
    Url(String),
    /// The store does not answer, or not in time. What it was asked may have happened.
    #[error("the session store does not answer: {0}")]
    Unreachable(String),
    /// The store has no room.
    #[error("the session store is full")]
    Full,
    /// A session of this name is there already.
    #[error("there is a session of this name already")]
    Exists,
    /// The store throws sessions away when it is full.
    #[error("the session store's maxmemory-policy is `{0}`; it must be `noeviction`")]
    Evicts(String),
    /// The store's files cannot be used.
    #[error("the session store is broken: {0}")]
    Broken(String),
}

/// The store at `url`: a file in `data_dir`, which is opened now, or a Redis server, to which the first operation connects.
///
/// # Errors
/// [`StoreError::Url`] if the address of a server cannot be understood; [`StoreError::Broken`] and [`StoreError::Full`] if
/// the file cannot be opened.
pub fn open(url: &StoreUrl, data_dir: &Path) -> Result<Arc<dyn SessionStore>, StoreError> {
    match url {
        StoreUrl::Embedded => Ok(Arc::new(embedded::EmbeddedSessions::open(data_dir)?)),
        StoreUrl::Redis(url) => Ok(Arc::new(redis::RedisSessions::new(url)?)),
    }
}

/// A row for the outbox: something that has to be done because of a change, written together with the change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRow {
    /// Names the row. A row that is there already under this id is replaced, and is then leased by nobody.
    pub id: Uuid,
    /// What is to be done, sealed.
    pub body: Bytes,
    /// When it is to be done, from now on, by the store's clock.
    pub due_in: Duration,
}

/// A row that this process is to deal with until its lease is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedRow {
    /// Where it stands.
    pub lane: Lane,
    /// The row.
    pub id: Uuid,
    /// Tells this lease from those before and after it.
    pub lease: Uuid,
    /// How often the row was leased, this time included.
    pub attempt: u32,
    /// What is to be done, sealed.
    pub body: Bytes,
}

/// The port. Each operation is atomic and, once it has returned, survives the store's restart as far as the store itself
/// is set up to.
///
/// Time is the store's own: a session is there until its time is over by that clock, and from then on it is nowhere, its
/// faces included. Every operation on a session that ended says that there is none.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a session for `ttl`. `end` is written with it: the row that clears up after the session.
    ///
    /// # Errors
    /// [`StoreError`], [`StoreError::Exists`] where a session of this name is there already (names are random).
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
    ) -> Result<(), StoreError>;

    /// A session; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError>;

    /// Ends a session now, with all its faces; `end` replaces the row of that id. Nothing happens while a replay is in
    /// progress. Of two that delete the same session one is told so.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError>;

    /// Notes that a replay is in progress, or that none is (any more). False where there is no session.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_replay(&self, session: &SessionName, in_progress: bool) -> Result<bool, StoreError>;

    /// Adds a face to a session that has less than `most` of them. A face that is there already under this id stays as and
    /// where it is, and counts as added.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        most: usize,
    ) -> Result<Insertion, StoreError>;

    /// A face.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn face(&self, session: &SessionName, face: Uuid) -> Result<Found<Bytes>, StoreError>;

    /// The faces of a session in the order in which they were added; `None` where there is no session.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError>;

    /// Deletes those of `faces` that are there, and says how many they were; `follow_up` is written where there was at
    /// least one. `None` where there is no session. Of two that delete the same face one has it counted.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError>;

    /// Writes a row that follows no change of a session. One that is there already under its id is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError>;

    /// Takes up to `limit` rows of a lane that are due, the longest due first, for `lease`. Nobody else gets them until
    /// then.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError>;

    /// Removes a row that is done. False where the lease is not (any more) the row's: somebody else deals with it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError>;

    /// As [`SessionStore::finish`], for several rows of one lane; how many of them were removed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError>;

    /// Puts a row back that is to be done (again) after `wait`, with a new body where one is given. False as in
    /// [`SessionStore::finish`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError>;

    /// Rows of a lane, due or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn outbox_depth(&self, lane: Lane) -> Result<u64, StoreError>;

    /// Begins a run of a request, unless another one is at it or has done it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin(&self, once: &Once) -> Result<Begun<Bytes>, StoreError>;

    /// Ends a run: its answer is kept from now on, or, where it has none, the next run may begin. False where another run
    /// has taken over, or the request is forgotten.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn end(&self, once: &Once, answer: Option<Bytes>) -> Result<bool, StoreError>;

    /// Whether the store answers and is set up so that it never throws anything away on its own.
    ///
    /// # Errors
    /// What is wrong.
    async fn check(&self) -> Result<(), StoreError>;
}
