//! The operations, each as methods of [`BiometricServices`](super::BiometricServices).

mod ages;
mod best_image;
mod bio_sessions;
mod direct;
mod replays;
mod session_faces;
mod session_matches;
mod stored_text;

pub use self::best_image::BestImages;
pub use self::replays::NewReplay;
pub use self::session_faces::FacePicture;
