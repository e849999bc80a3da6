//! Decoding of the untrusted bytes of a video to frames; nothing here judges them.
//!
//! [`MemoryFile`] holds the video. [`Decoder`] sniffs its container, has ffprobe and ffmpeg read it in a confined child
//! process, and gives back a [`Clip`]: a thumbnail of every frame, and the frames that a [`SamplingPlan`] asks for.

mod child;
mod clip;
mod codec;
mod collect;
mod colour;
pub mod confine;
mod container;
mod decoder;
mod ended;
mod fault;
mod matroska;
mod memory_file;
mod plan;
mod probe;
mod programs;
mod samples;

pub use clip::{Clip, ClipFrame, Thumbnail};
pub use codec::Codec;
pub use container::Container;
pub use decoder::Decoder;
pub use fault::{DecodeError, VideoFault};
pub use matroska::{Block, Reader};
pub use memory_file::{MemoryFile, MemoryFileWriter};
pub use plan::{DecodeLimits, SamplingPlan};

#[cfg(test)]
mod tests;
