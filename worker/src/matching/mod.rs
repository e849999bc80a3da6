//! Runs tasks (`face_worker`), and compares the faces of a task (`comparator`, `same_person`).

mod comparator;
mod face_worker;
mod same_person;

pub use self::comparator::Comparator;
pub use self::face_worker::FaceWorker;
