//! Announcements: broadcasts to all processes of an installation, best effort (at most once). A process that is not
//! connected misses them.

use bytes::{BufMut as _, Bytes, BytesMut};
use uuid::Uuid;

use crate::job::JobId;

const JOB_CANCELLED: u8 = 1;
const SESSION_ENDED: u8 = 2;

/// An announcement. Encoded as one byte for the kind and 16 bytes for the id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announcement {
    /// The caller of this job has left, so the job need not be done.
    JobCancelled(JobId),
    /// This session was deleted or has expired.
    SessionEnded(Uuid),
}

impl Announcement {
    /// Encodes the announcement.
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

    /// Decodes an announcement; `None` for a kind that this build does not know.
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
