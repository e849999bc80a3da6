//! What is to happen once, however often its caller asks for it.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;

/// A digest. A store tells nobody which key a caller used, or for what.
pub type Digest = [u8; 32];

/// A request that its caller may send again under the same key.
///
/// Each try is a run of its own. One runs at a time; where it is never heard of again, the next one may begin when its
/// lease is over, and makes the same thing under the same id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Once {
    /// Names the request.
    pub name: Digest,
    /// Tells it from others that are sent under its name.
    pub fingerprint: Digest,
    /// Id of what the request makes, where this is its first run.
    pub subject: Uuid,
    /// Tells this run from others.
    pub run: Uuid,
    /// How long others wait for this run.
    pub lease: Duration,
    /// How long the answer is kept.
    pub kept: Duration,
}

/// What becomes of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun<A> {
    /// It is to do what the request asks for.
    Go {
        /// Id of what it makes: the same for all runs.
        subject: Uuid,
    },
    /// Another one is at it, for at most this long.
    Running(Duration),
    /// It was done, and this is the answer.
    Done(A),
    /// The name is that of another request.
    Different,
}

/// The digest of `parts`, each of which is told from the next.
#[must_use]
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_part_ends_matters() {
        let of = |parts: &[&'static str]| digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        let all = [of(&["ab", "c"]), of(&["a", "bc"]), of(&["abc"]), of(&["ab", "c", ""])];
        assert!((0..all.len()).all(|index| !all[..index].contains(&all[index])));
    }
}
