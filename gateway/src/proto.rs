//! The gRPC messages of BWS, and a client for tests. `build.rs` generates them from `proto/`.
#![allow(missing_docs, reason = "not every generated item has a comment")]
#![allow(clippy::all, clippy::allow_attributes, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/_.rs"));

/// The package `bioid`.
pub mod bioid {
    /// The package `bioid.services`.
    pub mod services {
        /// The package `bioid.services.v1`.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/bioid.services.v1.rs"));
        }
    }
}

pub use self::bioid::services::v1;

/// The protocol's file descriptor set, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bws.bin"));
