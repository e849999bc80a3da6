//! The allocator of every program.
//!
//! glibc returns the memory of a large picture to the system after each job, and the system zeroes it for the next one. With
//! pictures of 1 MB that took a fifth of a gateway's time. jemalloc keeps free memory for ten seconds.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
