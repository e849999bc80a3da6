//! Calibration: from the similarity of two embeddings to a false acceptance rate.

mod fit;
mod labels;
#[cfg(test)]
mod synthetic;
mod table;
mod tail;

pub use self::fit::{Fit, PICTURES_A_PERSON};
pub use self::labels::Doubtful;
pub use self::table::{Calibration, CalibrationError, FAR_FLOOR};
pub use self::tail::Tail;
