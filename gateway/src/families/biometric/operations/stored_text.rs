//! The text form of an answer that the session store keeps and every later request repeats.

use crate::families::biometric::services::Json;
use crate::fault::Fault;

/// The answer as text.
pub(super) fn stored_text(json: Json) -> Result<String, Fault> {
    String::from_utf8(json).map_err(|error| {
        tracing::error!(%error, "JSON is not UTF-8");
        Fault::Internal
    })
}
