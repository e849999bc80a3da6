//! A formal model of a job's life cycle: the steps of gateways, workers, broker and store, and every fault between two
//! steps.
//!
//! [`interactive`] models jobs whose callers wait, and [`replay`] models videos that are judged later. Each is a state
//! machine. Stateright visits every reachable state, with two jobs, two workers, two gateways and a few faults.
//! `docs/job-life-cycle.md` names the file that implements each step.
//!
//! Both models have mutations: incorrect programs, each of which violates an invariant. So the tests show that the
//! invariants can fail.

pub mod interactive;
pub mod replay;

/// Number of jobs in a model.
pub const JOBS: usize = 2;
/// Number of workers in a model.
pub const WORKERS: usize = 2;
/// Number of gateways in a model.
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

/// Adds an element. The vector is a sorted multiset, so equal multisets are equal states.
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
