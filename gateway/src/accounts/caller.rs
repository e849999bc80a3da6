//! Who calls, and how much they may.

use std::sync::Arc;

use crate::fault::Fault;
use faceline_gateway_store::rate::{Quota, Rate};

use super::Permission;

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The client; what a call creates belongs to it.
    pub client: Arc<str>,
    /// The key that was shown.
    pub key_id: Arc<str>,
    /// Where the key has a rate of its own.
    pub rate: Option<Rate>,
    /// Where the key has one.
    pub quota: Option<Quota>,
    pub(super) permissions: Arc<[Permission]>,
}

impl Caller {
    /// Checks that the key allows something.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] where it does not.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Fault::Forbidden(permission.as_str()))
        }
    }
}
