//! A key ring that is the same in every run, so content that one run has sealed and added to a corpus opens in later
//! runs.

use std::collections::BTreeMap;

use faceline_shared::seal::{KeyRing, KeyRingFile};

/// The key ring.
pub(crate) fn ring() -> KeyRing {
    let key = base64_simd::STANDARD.encode_to_string([7; 32]);
    let file = KeyRingFile { active: "fuzzing".into(), keys: BTreeMap::from([("fuzzing".into(), key)]) };
    KeyRing::try_from(&file).expect("a key of 32 bytes")
}
