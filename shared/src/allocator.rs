//! The allocator of every program.
//!
//! glibc gives the room of a large picture back to the system after each job and has it zeroed for the next one, which
//! was a fifth of a gateway's time with pictures of 1 MB. jemalloc keeps what is free for ten seconds.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
