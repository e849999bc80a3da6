//! The spill: keeps usage records that the session store did not take in time until the store takes them. They are in
//! files of the data directory, or in memory if the disk fails.
//!
//! A file is a segment: rows one after the other, sealed in the form in which the store keeps them. One thread
//! writes. Rows that wait together share one fsync, and each is acknowledged after it. A segment that is full, or is
//! about to be delivered, is closed and never written again; it is deleted when the store has all of its rows. A
//! process locks its segments, so processes may share a data directory. When a process has died, another one adopts
//! its segments.

mod handle;
mod segment;
mod thread;
mod waiting;

pub(super) use self::handle::Spill;
pub(super) use self::segment::Segment;
pub(super) use self::waiting::SpillGauges;
