//! The faults that callers receive for missing sessions and failing stores.

use faceline_gateway_store::StoreError;
use faceline_gateway_store::sealed::RecordError;
use faceline_shared::object::ObjectError;

use crate::admission;
use crate::fault::{BusyCause, Fault};

pub(super) fn no_session() -> Fault {
    Fault::NotFound("Session not found".into())
}

pub(super) fn no_face() -> Fault {
    Fault::NotFound("Face not found".into())
}

/// The fault for a record that cannot be written or read.
pub(super) fn record_fault(error: &RecordError) -> Fault {
    match error {
        RecordError::Store(error @ StoreError::Broken(_)) => {
            tracing::error!(%error, "the session store is broken and needs an operator");
            Fault::Internal
        }
        RecordError::Store(error) => {
            tracing::warn!(%error, "the session store is unavailable");
            admission::outage(BusyCause::StoreUnreachable)
        }
        error => {
            tracing::error!(%error, "a record of the session store cannot be read or written");
            Fault::Internal
        }
    }
}

/// The fault for a picture that cannot be written or read.
pub(crate) fn object_fault(error: &ObjectError) -> Fault {
    match error {
        ObjectError::Seal(error) => {
            tracing::error!(%error, "a picture does not open");
            Fault::Internal
        }
        error => {
            tracing::warn!(%error, "the object store is unavailable");
            admission::outage(BusyCause::StoreUnreachable)
        }
    }
}
