//! A formal model of a job's life cycle: what gateways, workers, broker and store do with it, and every fault between two steps.
//!
//! [`interactive`] is about jobs whose callers wait, [`replay`] about videos that are judged later. Each is a state machine of which
//! Stateright visits every reachable state, with two jobs, two workers, two gateways and a few faults. `docs/job-life-cycle.md`
//! says for each step which file does it.
//!
//! Both models take mutations: wrong programs, each of which violates an invariant, so the tests show that the invariants can fail.

pub mod interactive;
pub mod replay;

/// Jobs of a model.
pub const JOBS: usize = 2;
/// Workers of a model.
pub const WORKERS: usize = 2;
/// Gateways of a model.
pub const GATEWAYS: usize = 2;
/// Failed attempts after which a job moves to the quarantine.
const QUARANTINE_ATTEMPTS: u8 = 2;

/// A job's number, from 0.
pub type Job = u8;

/// Removes one element that is equal to `item`.
fn take<T: PartialEq>(items: &mut Vec<T>, item: &T) {
    if let Some(at) = items.iter().position(|known| known == item) {
        items.remove(at);
    }
}

/// Adds an element. The vector is a multiset: its order is that of the elements, so equal multisets are equal states.
fn add<T: Ord>(items: &mut Vec<T>, item: T) {
    let at = items.partition_point(|known| *known < item);
    items.insert(at, item);
}

/// The elements of a multiset, each once.
fn distinct<T: PartialEq + Clone>(items: &[T]) -> Vec<T> {
    let mut distinct = items.to_vec();
    distinct.dedup();
    distinct
}
