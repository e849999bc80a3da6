//! Searches the whole state space of each model, and shows that each mutation violates an invariant.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is not as expected ends a test")]

use std::hash::Hash;
use std::thread::available_parallelism;

use faceline_lifecycle::{interactive, replay};
use stateright::{Checker as _, Model};

/// The invariants that a model violates, and its number of states.
fn search<M>(model: M) -> (Vec<&'static str>, usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + std::fmt::Debug + PartialEq,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    let threads = available_parallelism().map_or(1, Into::into);
    let checker = model.checker().threads(threads).spawn_bfs().join();
    let mut violated: Vec<_> = checker
        .discoveries()
        .into_iter()
        .filter(|(name, _)| checker.discovery_classification(name).to_string() == "counterexample")
        .map(|(name, path)| {
            println!("{name}: {:?}", path.into_actions());
            name
        })
        .collect();
    violated.sort_unstable();
    (violated, checker.unique_state_count())
}

/// As [`search`]; asserts that nothing is violated, that all examples exist, and that the search met more than `states` states.
fn assert_holds<M>(model: M, states: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + std::fmt::Debug + PartialEq,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    let threads = available_parallelism().map_or(1, Into::into);
    let checker = model.checker().threads(threads).spawn_bfs().join();
    println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.is_done());
    assert!(checker.unique_state_count() > states, "{} states", checker.unique_state_count());
}

#[test]
fn callers_who_wait_are_answered_once_whatever_dies() {
    assert_holds(interactive::Interactive { faults: 2, mutation: None }, 100_000);
}

#[test]
fn replays_end_once_and_all_that_must_follow_does() {
    assert_holds(replay::Replay { faults: 2, mutation: None }, 100_000);
}

#[test]
fn wrong_programs_for_waiting_callers_are_seen() {
    use interactive::Mutation;
    let lost = "no pending job is lost";
    for (mutation, faults, invariant) in [
        (Mutation::AckBeforeResult, 1, lost),
        (Mutation::AckBeforeQuarantine, 1, lost),
        (Mutation::NoDeduplication, 1, "every caller is answered once at most"),
        (Mutation::WrongCorrelation, 0, "nobody gets another's result"),
        (Mutation::NoRepublication, 1, lost),
        (Mutation::SilentDeadLetter, 0, lost),
        (Mutation::NoQuarantine, 0, "a job ends a bounded number of workers"),
    ] {
        let (violated, _) = search(interactive::Interactive { faults, mutation: Some(mutation) });
        assert!(violated.contains(&invariant), "{mutation:?}: {violated:?}");
    }
}

#[test]
fn wrong_programs_for_replays_are_seen() {
    use replay::Mutation;
    let follows = "what must follow an end is done or is a row";
    for (mutation, faults, invariant) in [
        (Mutation::NoWatchOverJobs, 0, "a row watches over each job"),
        (Mutation::NoCallbackRow, 0, follows),
        (Mutation::RowsAfterTheEnd, 1, follows),
        (Mutation::NoCompareAndSet, 0, "a replay ends once at most"),
        (Mutation::WrongSession, 0, "a replay ends with the judgement of its own video"),
        (Mutation::FreshIds, 1, "repetitions are recognised by their ids"),
        (Mutation::CallbackBeforeTheEnd, 0, "a callback follows the end"),
    ] {
        let (violated, _) = search(replay::Replay { faults, mutation: Some(mutation) });
        assert!(violated.contains(&invariant), "{mutation:?}: {violated:?}");
    }
}
