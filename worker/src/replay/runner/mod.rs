//! Processing of a job about a video: fetching, decrypting, decoding, judging, and exporting.

mod media;
#[cfg(test)]
mod tests;
mod video_worker;

pub(crate) use self::video_worker::{VideoServices, VideoWorker};
