//! The suite of the session port, which both adapters pass.

mod faces;
mod lifecycle;
mod owners;
mod races;
mod replay;
