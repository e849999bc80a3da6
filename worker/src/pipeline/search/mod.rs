//! Finding the faces of a picture, and rejecting detections that are no faces.

mod candidate;
mod choice;
mod drawing;
mod evidence;
mod finder;
mod following;
mod found;
#[cfg(test)]
mod half_size_tests;
mod searcher;
mod thorough;

pub(crate) use self::candidate::Candidate;
pub(crate) use self::choice::Choice;
pub(crate) use self::finder::Finder;
pub(crate) use self::found::{Embedded, Searched};
pub use self::searcher::search_eighths;
pub(crate) use self::searcher::{Searcher, finer_side};
