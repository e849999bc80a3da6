//! The messages of BWS as gRPC sends them, and a client; made from `proto/` by `build.rs`.
#![allow(missing_docs, reason = "not every generated item has words of its own")]
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

/// The protocol's descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bws.bin"));
