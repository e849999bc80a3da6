//! Decoding videos in confined children, with the worker's own program as the one that confines.

#![allow(clippy::unwrap_used)]

mod bombs;
mod clips;
mod colours;
mod confinement;
mod damaged;
mod formats;
mod refused;
mod times;
