//! Reading MessagePack that others may have written.

use serde::de::DeserializeOwned;

/// Maximum depth of the structure of a message. Faceline's own messages are nested ten levels deep.
///
/// The library's own limit is 1,024 levels, which exhaust the stack of a thread in builds without optimisation: a
/// crafted message in a queue would end the process.
const MAX_DEPTH: usize = 64;

/// Reads a value that is nested at most 64 levels deep.
///
/// # Errors
/// The bytes are not MessagePack of this type, or nested deeper.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer)
}
