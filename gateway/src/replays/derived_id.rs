//! Ids that are derived from a replay, so a repetition yields the same ids.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::{Builder, Uuid};

/// Returns the id of an object of the kind `kind`, derived from `source`: the first bytes of a SHA-256, as a UUID of
/// version 8. `source` must be unique and random; the id does not reveal it.
pub(super) fn derived_id(kind: &str, source: &[u8]) -> Uuid {
    let hash = digest(&SHA256, &[kind.as_bytes(), b"\n", source].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_again_and_another_for_another_kind_or_source() {
        let id = derived_id("face", b"source");
        assert_eq!(id, derived_id("face", b"source"));
        assert_ne!(id, derived_id("callback", b"source"));
        assert_ne!(id, derived_id("face", b"Source"));
        assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
    }
}
