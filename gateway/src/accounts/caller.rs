//! The caller of a request, and what its key allows.

use std::sync::Arc;

use faceline_gateway_store::rate::{Quota, Rate};

use super::permission::Permission;
use crate::fault::Fault;

/// The caller of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The client. What the request creates belongs to it.
    pub client: Arc<str>,
    /// Id of the key in the request.
    pub key_id: Arc<str>,
    /// The rate of the key, if it has one of its own.
    pub rate: Option<Rate>,
    /// The quota of the key, if it has one.
    pub quota: Option<Quota>,
    pub(super) permissions: Arc<[Permission]>,
}

impl Caller {
    /// Checks that the key has a permission.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] if it does not.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Fault::Forbidden(permission.as_str()))
        }
    }
}
