//! Examining live pictures: findings that prevent a judgement, passive liveness, and motion between two pictures.

mod examination;
#[cfg(test)]
mod examination_tests;
mod examined;
mod findings;
mod motion;
#[cfg(test)]
mod simulated_attack_tests;

pub use self::examined::{Examined, ExaminedPicture, ExaminingFault};
#[cfg(test)]
pub(crate) use self::motion::{EXTRA_HEAD_POINTS, attack};
pub(crate) use self::motion::{FacePatch, Grey, HeadTurn, LogisticCurve, WarpMatch};
