//! The allocator of every program.
//!
//! glibc returns the memory of a large picture to the system after each job, and the system zeroes it for the next one. With
//! pictures of 1 MB that took a fifth of a gateway's time. jemalloc keeps free memory for a second, instead of its usual
//! ten (`.cargo/config.toml`): that is long enough for the next job, and resident memory then is what is in use. A thread of
//! jemalloc returns the memory. Without that thread an idle program would keep the memory of its last burst, since
//! jemalloc otherwise returns memory only when it allocates or frees some.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[cfg(test)]
mod tests {
    use tikv_jemalloc_ctl::{Access as _, AsName as _, background_thread};

    #[test]
    fn free_memory_is_returned_after_a_second_also_by_an_idle_program() {
        let milliseconds: isize = b"opt.dirty_decay_ms\0".name().read().unwrap();
        assert_eq!((milliseconds, background_thread::read().unwrap()), (1000, true));
    }
}
