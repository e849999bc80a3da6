//! Model manifest, provisioning and repository of Faceline, and the mathematics of calibration.

pub mod manifest;
