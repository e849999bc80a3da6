//! Decoding of untrusted bytes to pixels.
//!
//! [`Source`] reads the header and checks it against the [`PictureLimits`]. Only then it decodes pixels, at the scale
//! that is needed. A [`Picture`] keeps its pixels as they are stored. Orientation and scale are part of the map from
//! upright coordinates to stored pixels, so no picture is ever rotated as a whole.

mod affine;
mod chip;
mod compress;
mod fault;
mod format;
mod interpolate;
mod jpeg;
mod jpeg_markers;
mod limits;
mod luma;
mod pixels;
mod raster;
mod sampler;
mod source;

pub(crate) use affine::Affine;
pub(crate) use chip::Chip;
pub use compress::compress;
pub(crate) use compress::encode_upright;
pub use fault::PictureFault;
pub(crate) use interpolate::Kernel;
pub use limits::PictureLimits;
pub(crate) use luma::luma;
pub(crate) use pixels::Picture;
pub(crate) use sampler::Sampler;
pub(crate) use source::{Source, eighths};
