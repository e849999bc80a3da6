//! Sessions and their faces: the port, and the types of its operations.

mod name;
mod outcome;
mod replay;
mod store;

pub use self::name::SessionName;
pub use self::outcome::{Deletion, FaceLookup, Insertion, StoredSession};
pub use self::replay::{ReplayChange, ReplayLookup, ReplayOutcome, StoredReplay};
pub use self::store::SessionStore;
