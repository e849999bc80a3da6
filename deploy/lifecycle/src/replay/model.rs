//! The actions and the invariants.

use std::collections::BTreeMap;

use stateright::{Model, Property};

use super::state::{Busy, End, InHand, Lane, MAX_PUBLISHES, Message, Row, State, Work};
use crate::{GATEWAYS, JOBS, Job, QUARANTINE_ATTEMPTS, WORKERS, add, distinct, take};

/// A step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// The store records the end of an upload, with the row that monitors the job.
    Upload(Job),
    /// A gateway leases a row that is due.
    Lease(usize, Job, u8),
    /// A gateway takes a result.
    TakeResult(usize, Job, End),
    /// A gateway processes the row or the result that it has taken.
    Act(usize),
    /// A gateway settles its work: the row with its lease, or the result at the broker.
    Settle(usize),
    /// A worker takes a message.
    TakeJob(usize, Message),
    /// A worker judges, and publishes the result.
    Work(usize),
    /// A worker acknowledges the job.
    Ack(usize),
    /// Fault: a gateway dies. Its leases expire, and the broker delivers its results again.
    GatewayDies(usize),
    /// Fault: a lease expires while its gateway continues.
    LeaseEnds(usize),
    /// Fault: a worker dies.
    WorkerDies(usize),
}

/// A mutation: an incorrect program, which must violate an invariant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutation {
    /// A worker acknowledges before the broker has the result, and no row monitors the job.
    NoWatchOverJobs,
    /// The end of a replay has no row for its callback.
    NoCallbackRow,
    /// Rows are written after the end instead of with it.
    RowsAfterTheEnd,
    /// A result ends a replay that has ended.
    NoCompareAndSet,
    /// A result ends the replay of another session.
    WrongSession,
    /// Each attempt of a callback and of a usage record has an id of its own.
    FreshIds,
    /// A callback is sent before the end is in the store.
    CallbackBeforeTheEnd,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Replays in one run, at most [`JOBS`].
    pub replays: usize,
    /// Maximum number of faults in one run.
    pub faults: u8,
    /// The mutation of the program; `None` for the correct program.
    pub mutation: Option<Mutation>,
}

const LANES: [Lane; 3] = [Lane::Replays, Lane::Callbacks, Lane::Usage];

impl Replay {
    fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether the first video kills its workers in some runs. With two replays there would be too many states for a
    /// test.
    fn has_poison(&self) -> bool {
        self.replays == 1
    }

    fn steps(&self, state: &State) -> Vec<Action> {
        let mut steps: Vec<_> = (0..self.replays)
            .filter(|job| !state.uploaded[*job])
            .map(|job| Action::Upload(job as Job))
            .collect();
        for (index, gateway) in state.gateways.iter().enumerate() {
            match gateway {
                // Symmetry: gateways are interchangeable, so one idle gateway represents all.
                None if state.gateways[..index].iter().any(Option::is_none) => (),
                None => {
                    let due = state
                        .rows
                        .iter()
                        .filter(|(key, row)| row.leased_by.is_none() && state.is_next(**key, row.work));
                    steps.extend(due.map(|((job, lane), _)| Action::Lease(index, *job, *lane as u8)));
                    let results = distinct(&state.results).into_iter();
                    steps.extend(results.map(|(job, end)| Action::TakeResult(index, job, end)));
                }
                Some(InHand::Row(..) | InHand::Result(_) | InHand::EndedWithoutRows(_)) => {
                    steps.push(Action::Act(index));
                }
                Some(InHand::DoneRow(..) | InHand::DoneResult(_)) => steps.push(Action::Settle(index)),
            }
        }
        for (index, worker) in state.workers.iter().enumerate() {
            match worker {
                None if state.workers[..index].iter().any(Option::is_none) => (),
                None => steps.extend(
                    distinct(&state.messages).into_iter().map(|message| Action::TakeJob(index, message)),
                ),
                Some(Busy { is_published: false, .. }) => steps.push(Action::Work(index)),
                Some(_) => steps.push(Action::Ack(index)),
            }
        }
        steps
    }

    fn fault_steps(state: &State) -> Vec<Action> {
        let busy_gateways = (0..GATEWAYS).filter(|index| state.gateways[*index].is_some());
        let mut steps: Vec<_> = busy_gateways.map(Action::GatewayDies).collect();
        let leased = (0..GATEWAYS).filter(|index| state.leased_row(*index).is_some());
        steps.extend(leased.map(Action::LeaseEnds));
        steps.extend((0..WORKERS).filter(|index| state.workers[*index].is_some()).map(Action::WorkerDies));
        steps
    }

    fn apply(&self, state: &mut State, action: &Action) {
        match action {
            Action::Upload(job) => {
                let index = usize::from(*job);
                state.uploaded[index] = true;
                state.has_media[index] = true;
                state.write(*job, Work::Judge { published: 0 });
            }
            Action::Lease(index, job, lane) => {
                let key = (*job, LANES[usize::from(*lane)]);
                if let Some(row) = state.rows.get_mut(&key) {
                    row.leased_by = Some(*index as u8);
                    state.gateways[*index] = Some(InHand::Row(key, row.work));
                }
            }
            Action::TakeResult(index, job, end) => {
                take(&mut state.results, &(*job, *end));
                state.gateways[*index] = Some(InHand::Result((*job, *end)));
            }
            Action::Act(index) => self.act(state, *index),
            Action::Settle(index) => {
                if let Some(InHand::DoneRow(key, repeat)) = state.gateways[*index]
                    && state.leased_row(*index) == Some(key)
                {
                    state.rows.remove(&key);
                    if let Some(work) = repeat {
                        state.rows.insert(key, Row { work, leased_by: None });
                    }
                }
                state.gateways[*index] = None;
            }
            Action::TakeJob(index, message) => {
                take(&mut state.messages, message);
                state.workers[*index] = Some(Busy { message: *message, is_published: false });
            }
            Action::Work(index) => self.work(state, *index),
            Action::Ack(index) => state.workers[*index] = None,
            Action::GatewayDies(index) => state.gateway_dies(*index),
            Action::LeaseEnds(index) => {
                if let Some(key) = state.leased_row(*index)
                    && let Some(row) = state.rows.get_mut(&key)
                {
                    row.leased_by = None;
                }
            }
            Action::WorkerDies(index) => state.worker_ends(*index),
        }
    }

    fn act(&self, state: &mut State, index: usize) {
        let in_hand = match state.gateways[index] {
            Some(InHand::Row(key, work)) => InHand::DoneRow(key, self.do_row(state, key.0, work)),
            Some(InHand::Result((job, end))) => {
                let session = if self.has(Mutation::WrongSession) { (job + 1) % JOBS as Job } else { job };
                let is_in_progress =
                    state.uploaded[usize::from(session)] && state.ends[usize::from(session)].is_none();
                if self.has(Mutation::CallbackBeforeTheEnd) && is_in_progress {
                    state.call_back(session, self.has(Mutation::FreshIds));
                }
                if !is_in_progress && !self.has(Mutation::NoCompareAndSet) {
                    InHand::DoneResult((job, end))
                } else if self.has(Mutation::RowsAfterTheEnd) {
                    state.set_end(session, end);
                    InHand::EndedWithoutRows((job, end))
                } else {
                    self.end(state, session, end);
                    InHand::DoneResult((job, end))
                }
            }
            Some(InHand::EndedWithoutRows((job, end))) => {
                self.write_rows(state, job);
                InHand::DoneResult((job, end))
            }
            _ => return,
        };
        state.gateways[index] = Some(in_hand);
    }

    /// Does the work of a row. Returns the payload for the row's next execution, or `None` if the row is done.
    fn do_row(&self, state: &mut State, job: Job, work: Work) -> Option<Work> {
        let index = usize::from(job);
        match work {
            Work::Judge { .. } if state.ends[index].is_some() => {
                state.has_media[index] = false;
                None
            }
            Work::Judge { published: MAX_PUBLISHES } => {
                self.end(state, job, End::NotInTime);
                None
            }
            Work::Judge { published } => {
                add(&mut state.messages, Message { job, quarantined: false, attempts: 0 });
                (!self.has(Mutation::NoWatchOverJobs)).then_some(Work::Judge { published: published + 1 })
            }
            Work::DeleteMedia => {
                state.has_media[index] = false;
                None
            }
            Work::Callback => {
                state.call_back(job, self.has(Mutation::FreshIds));
                None
            }
            Work::RecordUsage => {
                let ids = &mut state.usage_ids[index];
                *ids = if self.has(Mutation::FreshIds) { *ids + 1 } else { 1 };
                None
            }
        }
    }

    /// Ends a replay and writes the rows that must follow, in one operation of the store.
    fn end(&self, state: &mut State, job: Job, end: End) {
        state.set_end(job, end);
        self.write_rows(state, job);
    }

    fn write_rows(&self, state: &mut State, job: Job) {
        // This row replaces the row that monitored the job.
        state.write(job, Work::DeleteMedia);
        state.write(job, Work::RecordUsage);
        if !self.has(Mutation::NoCallbackRow) {
            state.write(job, Work::Callback);
        }
    }

    fn work(&self, state: &mut State, index: usize) {
        let Some(busy) = state.workers[index] else { return };
        let Message { job, quarantined, attempts } = busy.message;
        let found = if quarantined && attempts > 0 {
            End::Poison(job)
        } else if !quarantined && attempts >= QUARANTINE_ATTEMPTS {
            add(&mut state.messages, Message { job, quarantined: true, attempts: 0 });
            state.workers[index] = Some(Busy { is_published: true, ..busy });
            return;
        } else if job == 0 && state.first_is_poison {
            return state.worker_ends(index);
        } else {
            End::Judged(job)
        };
        add(&mut state.results, (job, found));
        state.workers[index] = Some(Busy { is_published: true, ..busy });
    }
}

impl Model for Replay {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start = |first_is_poison| State {
            first_is_poison,
            uploaded: [false; JOBS],
            ends: [None; JOBS],
            ended_twice: false,
            has_media: [false; JOBS],
            rows: BTreeMap::new(),
            messages: Vec::new(),
            results: Vec::new(),
            workers: [None; WORKERS],
            gateways: [None; GATEWAYS],
            callback_ids: [0; JOBS],
            usage_ids: [0; JOBS],
            called_back_too_early: false,
            faults_left: self.faults,
        };
        if self.has_poison() { vec![start(false), start(true)] } else { vec![start(false)] }
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.steps(state));
        if state.faults_left > 0 {
            actions.extend(Self::fault_steps(state));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.faults_left -=
            u8::from(matches!(action, Action::GatewayDies(_) | Action::LeaseEnds(_) | Action::WorkerDies(_)));
        self.apply(&mut state, &action);
        state.workers.sort_unstable();
        state.order_gateways();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("a replay ends once at most", |_, state: &State| !state.ended_twice),
            Property::always("a replay ends with the judgement of its own video", |_, state: &State| {
                (0..).zip(&state.ends).all(|(job, end)| match end {
                    Some(End::Judged(of) | End::Poison(of)) => *of == job,
                    Some(End::NotInTime) | None => true,
                })
            }),
            Property::always("a row watches over each job", |_, state: &State| {
                (0..JOBS).all(|job| {
                    !state.uploaded[job] || state.ends[job].is_some() || state.has_row(job, Lane::Replays)
                })
            }),
            Property::always("what must follow an end is done or is a row", |_, state: &State| {
                (0..JOBS).filter(|job| state.ends[*job].is_some()).all(|job| {
                    (state.callback_ids[job] > 0 || state.has_row(job, Lane::Callbacks))
                        && (state.usage_ids[job] > 0 || state.has_row(job, Lane::Usage))
                        && (!state.has_media[job] || state.has_row(job, Lane::Replays))
                })
            }),
            Property::always("a callback follows the end", |_, state: &State| !state.called_back_too_early),
            Property::always("repetitions are recognised by their ids", |_, state: &State| {
                state.callback_ids.iter().chain(&state.usage_ids).all(|ids| *ids <= 1)
            }),
            Property::always(
                "when nothing happens any more, everything is done",
                |model: &Self, state: &State| {
                    let is_done = |job: usize| {
                        state.ends[job].is_some()
                            && state.callback_ids[job] > 0
                            && state.usage_ids[job] > 0
                            && !state.has_media[job]
                    };
                    !model.steps(state).is_empty()
                        || (state.rows.is_empty() && (0..model.replays).all(is_done))
                },
            ),
            Property::sometimes("every replay is judged", |model: &Self, state: &State| {
                (0..).zip(&state.ends[..model.replays]).all(|(job, end)| *end == Some(End::Judged(job)))
            }),
            Property::sometimes("a replay is given up in time", |_, state: &State| {
                state.ends[0] == Some(End::NotInTime)
            }),
        ];
        if self.has_poison() {
            let name = "a poison job ends its replay as poison";
            properties
                .push(Property::sometimes(name, |_, state: &State| state.ends[0] == Some(End::Poison(0))));
        }
        properties
    }
}
