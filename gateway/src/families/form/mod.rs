//! The form of a request: named pictures, texts, flags and numbers.
//!
//! An operation lists the fields that it reads in a [`Schema`]. The HTTP layer decodes the multipart or JSON body and
//! inserts each part into a [`Form`]. The operation then reads the values by name.

mod member;
mod parse;
mod schema;
#[cfg(test)]
mod tests;
mod values;

pub use self::schema::{Kind, MAX_VALUE_BYTES, Role, Schema};
pub use self::values::Form;
