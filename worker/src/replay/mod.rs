//! Judging a decoded clip: whether it shows a living person who is present, and which frame shows that person best.
//!
//! - `tracker` follows the face through the sampled frames and measures it in key frames, which makes a `track`;
//! - `presentation`: passive liveness over the key frames;
//! - `flatness` and `background`: whether the face, or all that is around it, moves as a flat picture does;
//! - `repeats`, `cuts` and `identity`: whether the clip shows one person once, without gaps;
//! - `evidence` combines these to one score;
//! - `active`: whether the head followed a challenge, with the parallax of a real head;
//! - `best_image` and `verdict`: the results; `still`: those of a single picture;
//! - `measured`: a clip's figures and answer for evaluations;
//! - `exports` writes media for the service provider;
//! - `runner` does the jobs about videos, and knows how they are fetched and decoded.

pub(crate) mod active;
mod background;
mod best_image;
mod cuts;
mod evidence;
pub(crate) mod exports;
mod flatness;
mod identity;
mod measured;
mod presentation;
mod repeats;
mod runner;
mod sampling;
mod still;
#[cfg(test)]
mod tests;
pub(crate) mod track;
mod tracker;
mod verdict;

pub use self::measured::{ClipAnswer, MeasuredClip, measure_clip, measure_frames};
pub(crate) use self::runner::{VideoServices, VideoWorker};
pub(crate) use self::still::judge_still;
pub(crate) use self::verdict::{Asked, Judgement, examine, judge};
