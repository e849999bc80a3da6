//! From a stranger's bytes to pixels.
//!
//! [`Source`] reads the header and holds it against the [`PictureLimits`]; only then are pixels decoded, at the size that
//! is needed. A [`Picture`] keeps its pixels as they are stored: orientation and reduction are part of the map from
//! upright coordinates, so that no picture is ever turned as a whole.

mod affine;
mod compress;
mod fault;
mod format;
mod jpeg;
mod limits;
mod luma;
mod pixels;
mod raster;
mod sampler;
mod source;

pub(crate) use affine::Affine;
pub(crate) use compress::compress;
pub use fault::PictureFault;
pub use limits::PictureLimits;
pub(crate) use luma::luma;
pub(crate) use pixels::Picture;
pub(crate) use sampler::{Chip, Kernel, Sampler};
pub(crate) use source::{Source, eighths};
