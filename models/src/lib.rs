//! Model manifest, provisioning and repository of Faceline, and the mathematics of calibration.

pub mod calibration;
pub mod evaluation;
mod installed;
pub mod liveness;
pub mod manifest;
pub mod onnx;
pub mod provision;
mod repository;
pub mod simulation;
mod split_mix;

pub use self::repository::{InstalledModel, Repository, RepositoryError, liveness_calibration_path};
pub use self::split_mix::SplitMix64;
