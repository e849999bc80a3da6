//! Coding a face into an embedding, and estimating its age.

mod age;
#[cfg(test)]
mod box_tests;
mod code;
mod coded;
mod faces;

pub use self::coded::{AgedFace, Coded, CodedFace, CodingOptions};
pub use self::faces::FaceExtent;
