//! The lanes of the outbox.

/// Rows of different kinds are kept, leased and counted apart, so that many of one kind do not hold up the other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// What has to be done because a session changed.
    Sessions,
    /// Usage records on their way to where they are kept.
    Usage,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sessions, Self::Usage];
}
