//! The error of a connection.

/// The reason why a connection, or one answer over it, ended early.
pub(in crate::http) type ConnectionError = Box<dyn std::error::Error + Send + Sync>;
