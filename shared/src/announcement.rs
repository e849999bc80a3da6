//! What every process of an installation may want to hear, best effort: who is not there does not hear it.

use bytes::{BufMut as _, Bytes, BytesMut};
use uuid::Uuid;

use crate::job::JobId;

const JOB_CANCELLED: u8 = 1;
const SESSION_ENDED: u8 = 2;

/// An announcement: a byte that says what, and the id of whatever it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announcement {
    /// Nobody waits for this job any more.
    JobCancelled(JobId),
    /// This session was deleted, or its time is over.
    SessionEnded(Uuid),
}

impl Announcement {
    /// Its bytes.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let (kind, id) = match self {
            Self::JobCancelled(id) => (JOB_CANCELLED, id),
            Self::SessionEnded(id) => (SESSION_ENDED, id),
        };
        let mut bytes = BytesMut::with_capacity(1 + id.as_bytes().len());
        bytes.put_u8(kind);
        bytes.put_slice(id.as_bytes());
        bytes.freeze()
    }

    /// Reads one; `None` for what this build does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        let id = Uuid::from_slice(id).ok()?;
        match *kind {
            JOB_CANCELLED => Some(Self::JobCancelled(id)),
            SESSION_ENDED => Some(Self::SessionEnded(id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_as_it_was_written_and_anything_else_is_not() {
        let id = Uuid::new_v4();
        for announcement in [Announcement::JobCancelled(id), Announcement::SessionEnded(id)] {
            let bytes = announcement.encode();
            assert_eq!(Announcement::decode(&bytes), Some(announcement));
            assert_eq!(Announcement::decode(&bytes[1..]), None);
            assert_eq!(Announcement::decode(&bytes[..16]), None);
        }
        assert_eq!(Announcement::decode(&[]), None);
        assert_eq!(Announcement::decode(&[9; 17]), None);
    }
}
