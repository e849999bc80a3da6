//! Idempotency records: a creating request that is sent again with the same key creates nothing twice.
//!
//! Each attempt at the request claims its key under a lease. One attempt holds the claim at a time. If its holder dies, the
//! next attempt may claim the key when the lease is over, and creates the same resource under the same id.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use uuid::Uuid;

use crate::{ClientBounds, StoreError};

/// A SHA-256 digest. A store never holds the key that a caller chose, nor the content of a request.
pub type Digest = [u8; 32];

/// One attempt to claim an idempotency key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimRequest {
    /// The client that owns the record.
    pub client: Arc<str>,
    /// Digest of the idempotency key, its client and its operation.
    pub key: Digest,
    /// Digest of the request. A different request under the same key has a different fingerprint.
    pub fingerprint: Digest,
    /// Id of the resource to create, if this is the first attempt under the key.
    pub resource: Uuid,
    /// Id of this attempt.
    pub holder: Uuid,
    /// Time for which other attempts wait for this one.
    pub lease: Duration,
    /// Time for which the store keeps the record, and with it the answer.
    pub retention: Duration,
}

/// The result of an attempt to claim a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim<A> {
    /// The attempt holds the claim and must carry out the request.
    Acquired {
        /// Id of the resource to create, the same for all attempts.
        resource: Uuid,
    },
    /// Another attempt holds the claim, for at most this long.
    InProgress(Duration),
    /// An earlier attempt completed the request with this answer.
    Completed(A),
    /// The key belongs to another request.
    Mismatch,
}

/// Port of the idempotency records. Each operation is atomic.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Claims a key, unless another attempt holds it or has completed the request.
    ///
    /// # Errors
    /// [`StoreError::ClientFull`] if the key is new and the client keeps as many records or bytes as `bounds` allow,
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn claim(&self, request: &ClaimRequest, bounds: &ClientBounds) -> Result<Claim<Bytes>, StoreError>;

    /// Ends the claim, and keeps the answer for all later attempts, for the `retention` of `request`. Returns false
    /// if another attempt has taken over the claim, or the record has expired.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn complete(&self, request: &ClaimRequest, answer: Bytes) -> Result<bool, StoreError>;

    /// Ends the claim without an answer, so the next attempt may claim the key at once. With a `retention` of zero
    /// the store forgets the key. Returns false as [`IdempotencyStore::complete`] does.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn release(&self, request: &ClaimRequest) -> Result<bool, StoreError>;
}

/// The digest of `parts`. The length of each part is part of the digest, so parts cannot run into each other.
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
