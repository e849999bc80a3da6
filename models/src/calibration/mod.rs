//! Calibration: from the similarity of two embeddings to a false acceptance rate.

mod envelope;
mod fit;
mod labels;
#[cfg(test)]
mod synthetic;
mod table;
mod tail;

pub use self::envelope::{Curve, Envelope, GroupCurve, PEOPLE_OF_A_GROUP};
pub use self::fit::{Fit, PICTURES_A_PERSON};
pub use self::labels::Doubtful;
pub use self::table::{Calibration, CalibrationError, FAR_FLOOR};
pub use self::tail::Tail;
