//! From the tasks of jobs to faces, and from pairs of faces to false accept rates.

mod comparator;
mod face_worker;
mod same_person;

pub use self::comparator::Comparator;
pub use self::face_worker::FaceWorker;
