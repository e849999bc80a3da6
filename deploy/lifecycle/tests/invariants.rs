//! Searches the whole state space of each model, and shows that each mutation violates an invariant.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is not as expected ends a test")]

use std::fmt::Debug;
use std::hash::Hash;
use std::thread::available_parallelism;

use faceline_lifecycle::{interactive, replay};
use stateright::{Checker, HasDiscoveries, Model};

/// Searches until `finish`, or all states.
fn searched<M>(model: M, finish: HasDiscoveries) -> impl Checker<M>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + PartialEq + Clone + 'static,
    M::Action: PartialEq + Clone,
{
    let threads = available_parallelism().map_or(1, Into::into);
    model.checker().threads(threads).finish_when(finish).spawn_bfs().join()
}

/// Asserts that a model keeps its invariants in more than `states` states.
fn assert_holds<M>(model: M, states: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Debug + PartialEq + Clone + 'static,
    M::Action: Debug + PartialEq + Clone,
{
    // A failure ends the search. Without one, the search covers all states, even if the examples are found early.
    let checker = searched(model, HasDiscoveries::AnyFailures);
    println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.unique_state_count() > states, "{} states", checker.unique_state_count());
}

/// Asserts that a mutation violates an invariant, and prints the path to the violation.
fn assert_violates<M>(model: M, mutation: impl Debug, invariant: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Debug + PartialEq + Clone + 'static,
    M::Action: Debug + PartialEq + Clone,
{
    let checker = searched(model, HasDiscoveries::AnyOf([invariant].into()));
    let path =
        checker.discovery(invariant).unwrap_or_else(|| panic!("{mutation:?} does not violate `{invariant}`"));
    println!("{mutation:?} violates `{invariant}`: {:?}", path.into_actions());
}

#[test]
fn callers_who_wait_are_answered_once_whatever_dies() {
    assert_holds(interactive::Interactive { faults: 2, mutation: None }, 100_000);
}

#[test]
fn a_replay_ends_once_and_all_that_must_follow_does_whatever_dies() {
    assert_holds(replay::Replay { replays: 1, faults: 2, mutation: None }, 100_000);
}

#[test]
fn two_replays_are_not_mixed_up() {
    assert_holds(replay::Replay { replays: 2, faults: 0, mutation: None }, 100_000);
}

#[test]
fn wrong_programs_for_waiting_callers_are_seen() {
    use interactive::Mutation;
    let lost = "no pending job is lost";
    for (mutation, faults, invariant) in [
        (Mutation::AckBeforeResult, 1, lost),
        (Mutation::AckBeforeQuarantine, 1, lost),
        (Mutation::NoDeduplication, 1, "every caller is answered once at most"),
        (Mutation::WrongCorrelation, 0, "no caller gets another's result"),
        (Mutation::NoRepublication, 1, lost),
        (Mutation::SilentDeadLetter, 0, lost),
        (Mutation::NoQuarantine, 0, "a job fails a bounded number of times"),
    ] {
        let model = interactive::Interactive { faults, mutation: Some(mutation) };
        assert_violates(model, mutation, invariant);
    }
}

#[test]
fn wrong_programs_for_replays_are_seen() {
    use replay::Mutation;
    let follows = "what must follow an end is done or is a row";
    for (mutation, faults, invariant) in [
        (Mutation::NoWatchOverJobs, 0, "a row watches over each job"),
        (Mutation::NoCallbackRow, 0, follows),
        (Mutation::RowsAfterTheEnd, 0, follows),
        (Mutation::NoCompareAndSet, 0, "a replay ends once at most"),
        (Mutation::WrongSession, 0, "a replay ends with the judgement of its own video"),
        (Mutation::FreshIds, 1, "repetitions are recognised by their ids"),
        (Mutation::CallbackBeforeTheEnd, 0, "a callback follows the end"),
    ] {
        assert_violates(replay::Replay { replays: 2, faults, mutation: Some(mutation) }, mutation, invariant);
    }
}
