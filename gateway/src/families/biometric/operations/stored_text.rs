//! The text form of an answer that the session store keeps, and that later answers repeat.

use crate::families::biometric::services::Json;
use crate::fault::Fault;

/// Converts the answer to text.
pub(super) fn stored_text(json: Json) -> Result<String, Fault> {
    String::from_utf8(json).map_err(|error| {
        tracing::error!(%error, "JSON is not UTF-8");
        Fault::Internal
    })
}
