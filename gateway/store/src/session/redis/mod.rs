//! The session store that gateways share: Redis, each operation a script.
//!
//! **Keys.** A session is one hash, its faces fields of it, so that one expiry ends everything at the same millisecond.
//! The outbox is a sorted set of row ids by due time, and three hashes with what belongs to them. A request that is to
//! happen once is a hash. All keys bear the hash
//! tag `{store}`: a cluster keeps them in one slot, without which it would refuse the scripts. So the whole store is on
//! one node of a cluster, which is the one to name in the address (redirections are not followed), and more memory, not
//! more nodes, is what a large installation gives it.
//!
//! **Time** is the server's. Times to live are sent as durations, and scripts ask the server for the time.
//!
//! **Broken connections.** When a connection breaks nobody knows whether the operation or its answer was lost. So every
//! change carries an id of its own, under which the server keeps the answer for `ANSWER_KEPT`. The change is sent again,
//! once; where it had happened the kept answer comes back, and nothing happens twice. That holds for late arrivals
//! too: what a cut connection still delivers after its repetition finds the answer and does nothing. When the
//! repetition fails as well, or the server is silent, the error is [`StoreError::Unreachable`], and what was asked may
//! have happened. A server that was restarted without its last changes has lost both, the change and its answer.

mod scripts;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use redis::{Script, ScriptInvocation, cmd};
use uuid::Uuid;

use self::scripts::Scripts;
use super::millis::millis;
use super::{
    Begun, Deletion, Found, Insertion, Lane, LeasedRow, NewRow, Once, SessionName, SessionStore, StoreError,
    StoredSession,
};
use faceline_shared::redis::{Fault, Server};

/// Before the names of all keys. The braces are the hash tag.
const PREFIX: &str = "faceline:{store}:";

/// Before a face's id in the fields of its session.
const FACE: &[u8] = b"face:";

/// Time for which the server knows what it answered, well above the time in which anybody asks again.
const ANSWER_KEPT: Duration = Duration::from_secs(30);

/// Sessions and outbox in Redis.
pub struct RedisSessions {
    server: Server,
    scripts: Scripts,
}

impl RedisSessions {
    /// A store at `redis://…` or `rediss://…`. It connects when it is used first.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self { server: Server::new(url)?, scripts: Scripts::new() })
    }
}

/// A change with an id of its own and the outbox of sessions, which the script's own keys and arguments follow.
fn change(script: &Script) -> ScriptInvocation<'_> {
    change_in(Lane::Sessions, script)
}

/// As [`change`], with the outbox of `lane`.
fn change_in(lane: Lane, script: &Script) -> ScriptInvocation<'_> {
    let mut change = script.key(format!("{PREFIX}answer:{}", Uuid::new_v4()));
    for part in ["due", "body", "attempt", "lease"] {
        change.key(row_key(lane, part));
    }
    change.arg(millis(ANSWER_KEPT));
    change
}

fn row_key(lane: Lane, part: &str) -> String {
    let lane = match lane {
        Lane::Sessions => "outbox",
        Lane::Usage => "usage",
    };
    format!("{PREFIX}{lane}:{part}")
}

fn session_key(session: &SessionName) -> String {
    format!("{PREFIX}session:{session}")
}

fn once_key(once: &Once) -> Vec<u8> {
    [PREFIX.as_bytes(), b"once:", &once.name].concat()
}

fn face_field(face: Uuid) -> Vec<u8> {
    [FACE, face.as_bytes()].concat()
}

/// A face as it stands in its field: its place in the order of faces (eight bytes, big-endian), its body.
fn placed(field: Vec<u8>) -> Result<(u64, Bytes), StoreError> {
    let mut field = Bytes::from(field);
    let place = field.try_get_u64().map_err(|_| strange("a face"))?;
    Ok((place, field))
}

/// The server answers what no script of ours does.
fn strange(what: &str) -> StoreError {
    StoreError::Broken(format!("{what} is not as it was stored"))
}

fn add_row(script: &mut ScriptInvocation<'_>, row: &NewRow) {
    script.arg(row.id.as_bytes()).arg(&*row.body).arg(millis(row.due_in));
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Url(reason) => Self::Url(reason),
            Fault::Unreachable(reason) => Self::Unreachable(reason),
            Fault::Full => Self::Full,
            Fault::Evicts(policy) => Self::Evicts(policy),
        }
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
    ) -> Result<(), StoreError> {
        let mut script = change(&self.scripts.create);
        script.key(session_key(session)).arg(&*body).arg(millis(ttl).max(1));
        add_row(&mut script, &end);
        match self.server.run_script(&script).await? {
            true => Ok(()),
            false => Err(StoreError::Exists),
        }
    }

    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError> {
        let script = self.scripts.session.key(session_key(session));
        let found: Option<(Vec<u8>, u64)> = self.server.run_script(&script).await?;
        Ok(found.map(|(body, left)| StoredSession { body: body.into(), left: Duration::from_millis(left) }))
    }

    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError> {
        let mut script = change(&self.scripts.delete);
        script.key(session_key(session));
        add_row(&mut script, &end);
        match self.server.run_script(&script).await? {
            2 => Ok(Deletion::Deleted),
            1 => Ok(Deletion::ReplayInProgress),
            0 => Ok(Deletion::NoSession),
            _ => Err(strange("the answer")),
        }
    }

    async fn set_replay(&self, session: &SessionName, in_progress: bool) -> Result<bool, StoreError> {
        let mut script = change(&self.scripts.set_replay);
        script.key(session_key(session)).arg(u8::from(in_progress));
        Ok(self.server.run_script(&script).await?)
    }

    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        most: usize,
    ) -> Result<Insertion, StoreError> {
        let mut script = change(&self.scripts.add_face);
        script.key(session_key(session)).arg(face_field(face)).arg(&*body).arg(most);
        match self.server.run_script(&script).await? {
            2 => Ok(Insertion::Added),
            1 => Ok(Insertion::Full),
            0 => Ok(Insertion::NoSession),
            _ => Err(strange("the answer")),
        }
    }

    async fn face(&self, session: &SessionName, face: Uuid) -> Result<Found<Bytes>, StoreError> {
        // `replay` is there as long as the session is.
        let command = cmd("HMGET").arg(session_key(session)).arg("replay").arg(face_field(face)).take();
        let found: (Option<u8>, Option<Vec<u8>>) = self.server.run(&command).await?;
        match found {
            (None, _) => Ok(Found::NoSession),
            (Some(_), None) => Ok(Found::NoFace),
            (Some(_), Some(field)) => Ok(Found::Yes(placed(field)?.1)),
        }
    }

    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError> {
        let command = cmd("HGETALL").arg(session_key(session)).take();
        let fields: Vec<(Vec<u8>, Vec<u8>)> = self.server.run(&command).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut faces = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            let Some(id) = name.strip_prefix(FACE) else { continue };
            let (place, body) = placed(field)?;
            faces.push((place, Uuid::from_slice(id).map_err(|_| strange("a face"))?, body));
        }
        faces.sort_unstable_by_key(|&(place, _, _)| place);
        Ok(Some(faces.into_iter().map(|(_, id, body)| (id, body)).collect()))
    }

    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError> {
        let mut script = change(&self.scripts.delete_faces);
        script.key(session_key(session));
        match &follow_up {
            Some(row) => add_row(&mut script, row),
            None => drop(script.arg("").arg("").arg("")),
        }
        for &face in faces {
            script.arg(face_field(face));
        }
        let deleted: i64 = self.server.run_script(&script).await?;
        // The script says -1 where there is no session.
        Ok(usize::try_from(deleted).ok())
    }

    async fn enqueue(&self, lane: Lane, row: NewRow) -> Result<(), StoreError> {
        let mut script = change_in(lane, &self.scripts.enqueue);
        add_row(&mut script, &row);
        Ok(self.server.run_script(&script).await?)
    }

    async fn lease(&self, lane: Lane, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        let id = Uuid::new_v4();
        let mut script = change_in(lane, &self.scripts.lease);
        script.arg(limit).arg(millis(lease)).arg(id.as_bytes());
        let rows: Vec<(Vec<u8>, u32, Vec<u8>)> = self.server.run_script(&script).await?;
        rows.into_iter()
            .map(|(row, attempt, body)| {
                let row = Uuid::from_slice(&row).map_err(|_| strange("a row"))?;
                Ok(LeasedRow { lane, id: row, lease: id, attempt, body: body.into() })
            })
            .collect()
    }

    async fn finish(&self, row: &LeasedRow) -> Result<bool, StoreError> {
        let mut script = change_in(row.lane, &self.scripts.finish);
        script.arg(row.id.as_bytes()).arg(row.lease.as_bytes());
        Ok(self.server.run_script(&script).await?)
    }

    async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, StoreError> {
        let mut script = change_in(lane, &self.scripts.finish_all);
        for row in rows {
            script.arg(row.id.as_bytes()).arg(row.lease.as_bytes());
        }
        Ok(self.server.run_script(&script).await?)
    }

    async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        body: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let mut script = change_in(row.lane, &self.scripts.postpone);
        script.arg(row.id.as_bytes()).arg(row.lease.as_bytes()).arg(millis(wait)).arg(body.as_deref());
        Ok(self.server.run_script(&script).await?)
    }

    async fn outbox_depth(&self, lane: Lane) -> Result<u64, StoreError> {
        Ok(self.server.run(cmd("ZCARD").arg(row_key(lane, "due"))).await?)
    }

    async fn begin(&self, once: &Once) -> Result<Begun<Bytes>, StoreError> {
        let mut script = change(&self.scripts.begin_once);
        script
            .key(once_key(once))
            .arg(&once.fingerprint)
            .arg(once.subject.as_bytes())
            .arg(once.run.as_bytes());
        script.arg(millis(once.lease)).arg(millis(once.kept));
        let (outcome, bytes, left): (u8, Vec<u8>, u64) = self.server.run_script(&script).await?;
        match outcome {
            0 => Ok(Begun::Running(Duration::from_millis(left))),
            1 => Ok(Begun::Go { subject: Uuid::from_slice(&bytes).map_err(|_| strange("a request"))? }),
            2 => Ok(Begun::Done(bytes.into())),
            3 => Ok(Begun::Different),
            _ => Err(strange("the answer")),
        }
    }

    async fn end(&self, once: &Once, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let mut script = change(&self.scripts.end_once);
        script.key(once_key(once)).arg(once.run.as_bytes()).arg(millis(once.kept)).arg(answer.as_deref());
        Ok(self.server.run_script(&script).await?)
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(self.server.check().await?)
    }
}
