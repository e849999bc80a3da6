//! Bounds that several files of the intake, and the gRPC messages, share.

/// Memory for a body of unknown length is admitted in steps of this many bytes.
pub(in crate::http) const ADMISSION_STEP_BYTES: usize = 256 << 10;

/// Maximum bytes of a body besides its pictures.
pub(super) const MAX_BYTES_BESIDES_PICTURES: usize = 1 << 20;

/// Maximum bytes of a body that is JSON without pictures.
pub(super) const MAX_JSON_BYTES: usize = 128 << 10;

/// Maximum number of pictures of a BWS request, and of tags of each picture. Valid requests have at most two pictures
/// with four tags. An empty element takes two bytes in a message and dozens in memory, so a body of permitted length
/// could fill the memory with empty ones.
pub(in crate::http) const MAX_BWS_ELEMENTS: usize = 64;
