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
pub(crate) use self::motion::{Calibration, FacePatch, Grey, HeadTurn, SheetMatch};
#[cfg(test)]
pub(crate) use self::motion::{RELIEF, attack};
