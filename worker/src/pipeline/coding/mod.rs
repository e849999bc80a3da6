//! Coding a face into an embedding, and estimating its age.

mod age;
#[cfg(test)]
mod box_tests;
mod code;
mod coded;

pub use self::coded::{AgedFace, Coded, CodedFace, CodingOptions};
