//! The smoke run of all targets: seeds, the committed corpus, and deterministic mutations of both.
//!
//! It needs no instrumentation, so it is part of `make test`. `make fuzz` searches further.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is not as expected ends a test")]

use std::path::Path;
use std::time::Duration;

use faceline_fuzz::mutation::Mutator;
use faceline_fuzz::{TARGETS, Target};
use rustix::time::{ClockId, clock_gettime};
use tikv_jemalloc_ctl::thread;

/// Number of mutations for each target.
const RUNS: u64 = 10_000;
/// Maximum processor time for one input. The slowest valid one takes some milliseconds.
const MAX_TIME: Duration = Duration::from_secs(1);

/// Processor time of this thread, which does not depend on the load of the machine.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Runs one input under the bounds of its target.
fn run(target: &Target, input: &[u8], name: &str) {
    let allocated = thread::allocatedp::read().unwrap();
    let (before, started) = (allocated.get(), thread_time());
    (target.run)(input);
    let (bytes, time) = (allocated.get() - before, thread_time() - started);
    assert!(bytes <= target.max_allocated_bytes, "{name} allocates {bytes} bytes: {}", input.escape_ascii());
    assert!(time <= MAX_TIME, "{name} takes {time:?}: {}", input.escape_ascii());
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    if !folder.exists() {
        return (target.seeds)();
    }
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // A folder lists its files in another order on each machine.
    files.sort();
    let committed = files.iter().map(|file| std::fs::read(file).unwrap());
    (target.seeds)().into_iter().chain(committed).collect()
}

fn smoke(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    // The first run initialises statics, whose allocations must not count for an input.
    (target.run)(&[]);
    let corpus = corpus(target);
    for (number, input) in corpus.iter().enumerate() {
        run(target, input, &format!("{name}: input {number} of the corpus"));
    }
    let mut mutator = Mutator::new(target, corpus, 1);
    for number in 0..RUNS {
        let input = mutator.next_input();
        run(target, &input, &format!("{name}: mutation {number}"));
    }
}

macro_rules! smoke_tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_smoke_test_and_a_target_of_cargo_fuzz() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
            for target in TARGETS {
                let file = format!("{}/cargo-fuzz/fuzz_targets/{}.rs", env!("CARGO_MANIFEST_DIR"), target.name);
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(text.contains(&format!("faceline_fuzz::{}(data)", target.name)), "{file}");
            }
        }
    };
}

smoke_tests!(container, envelope, jwe, jwt, manifest, media, multipart, picture, template);
