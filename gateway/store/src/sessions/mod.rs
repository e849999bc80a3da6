//! Sessions and their faces: the port, and what its operations take and return.

mod name;
mod outcome;
mod store;

pub use self::name::SessionName;
pub use self::outcome::{Deletion, FaceLookup, Insertion, StoredSession};
pub use self::store::SessionStore;
