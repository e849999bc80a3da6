//! The actions and the invariants.

use stateright::{Model, Property};

use super::state::{Answer, Busy, Gateway, Message, Reply, Stage, State};
use crate::{GATEWAYS, JOBS, Job, QUARANTINE_ATTEMPTS, WORKERS, add, distinct, take};

/// A step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// The gateway stores the job as pending and publishes it.
    Submit(Job),
    /// A worker takes a message.
    Take(usize, Message),
    /// A worker processes its message: it executes the job, answers that the job is poison, or moves the message to the
    /// quarantine.
    Work(usize),
    /// A worker publishes the answer.
    Reply(usize),
    /// A worker acknowledges its message, or dead-letters it if it is poison.
    Settle(usize),
    /// A gateway takes a reply.
    Deliver(Reply),
    /// A gateway opens the next generation of its reply queue, and publishes the pending jobs again.
    Reopen(usize),
    /// Fault: a worker dies.
    WorkerDies(usize),
    /// Fault: a worker loses its connection. The broker delivers the message again, while this worker continues.
    WorkerLosesConnection(usize),
    /// Fault: a gateway dies and restarts.
    GatewayDies(usize),
    /// Fault: a reply queue is lost with its messages.
    ReplyQueueLost(usize),
    /// Fault: a confirm is missing, so a gateway publishes a job again that the broker already has.
    PublishedAgain(Job),
    /// The caller's deadline passes. It counts as a fault, because otherwise it would hide every loss.
    Deadline(Job),
}

/// A mutation: an incorrect program, which must violate an invariant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutation {
    /// A worker acknowledges before the broker has the result.
    AckBeforeResult,
    /// A worker acknowledges before the quarantine has the message.
    AckBeforeQuarantine,
    /// A gateway returns every result to the caller.
    NoDeduplication,
    /// A gateway returns a result to another of its callers.
    WrongCorrelation,
    /// A gateway does not publish pending jobs again after it has lost its reply queue.
    NoRepublication,
    /// A worker dead-letters poison without an answer.
    SilentDeadLetter,
    /// There is no quarantine: a job that kills its workers is redelivered without end.
    NoQuarantine,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Interactive {
    /// Maximum number of faults in one run.
    pub faults: u8,
    /// The mutation of the program; `None` for the correct program.
    pub mutation: Option<Mutation>,
}

impl Interactive {
    fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Maximum number of failed attempts of one job: three for each message with it. A fault causes one more message,
    /// or one more failure.
    fn max_failures(&self) -> u8 {
        (QUARANTINE_ATTEMPTS + 1) * (1 + self.faults)
    }

    /// The steps without faults.
    fn steps(&self, state: &State) -> Vec<Action> {
        let mut steps = Vec::new();
        for job in 0..JOBS as Job {
            let gateway = &state.gateways[usize::from(state.gateway_of[usize::from(job)])];
            if !state.submitted[usize::from(job)] && gateway.is_open {
                steps.push(Action::Submit(job));
            }
        }
        for (index, worker) in state.workers.iter().enumerate() {
            match worker {
                None => {
                    // Symmetry: workers are interchangeable, so one idle worker represents all.
                    if state.workers[..index].iter().all(Option::is_some) {
                        let messages = distinct(&state.messages).into_iter();
                        steps.extend(messages.map(|message| Action::Take(index, message)));
                    }
                }
                Some(busy) => steps.push(match busy.stage {
                    Stage::Taken => Action::Work(index),
                    Stage::Done(_) => Action::Reply(index),
                    Stage::Published => Action::Settle(index),
                }),
            }
        }
        steps.extend(distinct(&state.replies).into_iter().map(Action::Deliver));
        let closed = (0..GATEWAYS).filter(|index| !state.gateways[*index].is_open);
        steps.extend(closed.map(Action::Reopen));
        steps
    }

    fn fault_steps(state: &State) -> Vec<Action> {
        let mut steps = Vec::new();
        for index in (0..WORKERS).filter(|index| state.workers[*index].is_some()) {
            steps.push(Action::WorkerDies(index));
            if state.workers[index].is_some_and(|busy| busy.owns) {
                steps.push(Action::WorkerLosesConnection(index));
            }
        }
        for index in 0..GATEWAYS {
            if state.gateways[index].is_open {
                steps.push(Action::ReplyQueueLost(index));
            }
            steps.push(Action::GatewayDies(index));
            for job in &state.gateways[index].pending {
                steps.push(Action::Deadline(*job));
                if state.gateways[index].is_open {
                    steps.push(Action::PublishedAgain(*job));
                }
            }
        }
        steps
    }

    fn apply(&self, state: &mut State, action: &Action) {
        match action {
            Action::Submit(job) => {
                state.submitted[usize::from(*job)] = true;
                let gateway = state.gateway_of(*job);
                gateway.pending.push(*job);
                gateway.pending.sort_unstable();
                state.publish(*job);
            }
            Action::Take(index, message) => {
                take(&mut state.messages, message);
                state.workers[*index] = Some(Busy { message: *message, stage: Stage::Taken, owns: true });
            }
            Action::Work(index) => self.work(state, *index),
            Action::Reply(index) => self.reply(state, *index),
            Action::Settle(index) => state.workers[*index] = None,
            Action::Deliver(reply) => self.deliver(state, *reply),
            Action::Reopen(index) => {
                state.gateways[*index].is_open = true;
                if !self.has(Mutation::NoRepublication) {
                    for job in state.gateways[*index].pending.clone() {
                        state.publish(job);
                    }
                }
            }
            Action::WorkerDies(index) => state.worker_ends(*index),
            Action::WorkerLosesConnection(index) => {
                if let Some(busy) = &mut state.workers[*index] {
                    busy.owns = false;
                    let message = busy.message;
                    state.failures[usize::from(message.job)] += 1;
                    state.redeliver(message);
                }
            }
            Action::GatewayDies(index) => {
                for job in std::mem::take(&mut state.gateways[*index].pending) {
                    state.answer(job, Answer::Disconnected);
                }
                state.lose_reply_queue(*index);
            }
            Action::ReplyQueueLost(index) => state.lose_reply_queue(*index),
            Action::PublishedAgain(job) => state.publish(*job),
            Action::Deadline(job) => {
                take(&mut state.gateway_of(*job).pending, job);
                state.answer(*job, Answer::Expired);
            }
        }
    }

    fn work(&self, state: &mut State, index: usize) {
        let Some(Busy { message, owns, .. }) = state.workers[index] else { return };
        let Message { job, quarantined, attempts, .. } = message;
        let stage = if quarantined && attempts > 0 {
            if self.has(Mutation::SilentDeadLetter) {
                Stage::Published
            } else {
                Stage::Done(Answer::Poison(job))
            }
        } else if !quarantined && attempts >= QUARANTINE_ATTEMPTS && !self.has(Mutation::NoQuarantine) {
            if self.has(Mutation::AckBeforeQuarantine) {
                // After the acknowledgement, the message exists only in this worker's memory.
                state.workers[index] = Some(Busy { message, stage: Stage::Taken, owns: false });
                if owns {
                    return;
                }
            }
            add(&mut state.messages, Message { quarantined: true, attempts: 0, ..message });
            Stage::Published
        } else if job == 0 && state.first_is_poison {
            return state.worker_ends(index);
        } else {
            Stage::Done(Answer::Result(job))
        };
        let owns = owns && !(self.has(Mutation::AckBeforeResult) && matches!(stage, Stage::Done(_)));
        state.workers[index] = Some(Busy { message, stage, owns });
    }

    fn reply(&self, state: &mut State, index: usize) {
        let Some(Busy { message, stage: Stage::Done(answer), owns }) = state.workers[index] else { return };
        let (gateway, generation) = message.reply_to;
        let present = &state.gateways[usize::from(gateway)];
        // The broker returns a message for a queue that no longer exists. The gateway publishes the job again, or has
        // no caller for it.
        if present.is_open && present.generation == generation {
            add(&mut state.replies, Reply { queue: message.reply_to, correlation: message.job, answer });
        }
        state.workers[index] = Some(Busy { message, stage: Stage::Published, owns });
    }

    fn deliver(&self, state: &mut State, reply: Reply) {
        take(&mut state.replies, &reply);
        let gateway = &mut state.gateways[usize::from(reply.queue.0)];
        let mut job = reply.correlation;
        if self.has(Mutation::WrongCorrelation) {
            job = gateway.pending.iter().copied().find(|other| *other != job).unwrap_or(job);
        }
        let is_pending = gateway.pending.contains(&job);
        take(&mut gateway.pending, &job);
        if is_pending || self.has(Mutation::NoDeduplication) {
            state.answer(job, reply.answer);
        }
    }
}

impl Model for Interactive {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start = |gateway_of, first_is_poison| State {
            gateway_of,
            first_is_poison,
            submitted: [false; JOBS],
            answers: [None; JOBS],
            answered_twice: false,
            messages: Vec::new(),
            replies: Vec::new(),
            workers: [None; WORKERS],
            gateways: std::array::from_fn(|_| Gateway { is_open: true, ..Gateway::default() }),
            failures: [0; JOBS],
            faults_left: self.faults,
        };
        vec![start([0, 1], false), start([0, 0], false), start([0, 1], true), start([0, 0], true)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.steps(state));
        if state.faults_left > 0 {
            actions.extend(Self::fault_steps(state));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.faults_left -= u8::from(Self::fault_steps(last).contains(&action));
        self.apply(&mut state, &action);
        // Symmetry: workers are interchangeable.
        state.workers.sort_unstable();
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        // Without a quarantine, a poison message is redelivered without end. One attempt more than allowed shows that.
        state.failures.iter().all(|failures| *failures <= self.max_failures() + 1)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every caller is answered once at most", |_, state: &State| {
                !state.answered_twice
            }),
            Property::always("no caller gets another's result", |_, state: &State| {
                (0..).zip(&state.answers).all(|(job, answer)| match answer {
                    Some(Answer::Result(of) | Answer::Poison(of)) => *of == job,
                    Some(Answer::Expired | Answer::Disconnected) | None => true,
                })
            }),
            Property::always("no pending job is lost", |_, state: &State| {
                (0..).zip(&state.gateways).all(|(number, gateway)| {
                    gateway.pending.iter().all(|job| state.is_carried(*job, gateway, number))
                })
            }),
            Property::always("whoever waits is remembered", |_, state: &State| {
                (0..JOBS).all(|job| {
                    let gateway = &state.gateways[usize::from(state.gateway_of[job])];
                    let waits = state.submitted[job] && state.answers[job].is_none();
                    waits == gateway.pending.contains(&(job as Job))
                })
            }),
            Property::always(
                "when nothing happens any more, every caller is answered",
                |model: &Self, state: &State| {
                    !model.steps(state).is_empty() || state.answers.iter().all(Option::is_some)
                },
            ),
            Property::always("a job is called poison after three failed attempts", |_, state: &State| {
                (0..JOBS).all(|job| {
                    !matches!(state.answers[job], Some(Answer::Poison(_)))
                        || state.failures[job] > QUARANTINE_ATTEMPTS
                })
            }),
            Property::always("a job fails a bounded number of times", |model: &Self, state: &State| {
                state.failures.iter().all(|failures| *failures <= model.max_failures())
            }),
            Property::sometimes("both callers get their results", |_, state: &State| {
                state.answers == [Some(Answer::Result(0)), Some(Answer::Result(1))]
            }),
            Property::sometimes("poison is answered, and the job beside it too", |_, state: &State| {
                state.answers == [Some(Answer::Poison(0)), Some(Answer::Result(1))]
            }),
        ]
    }
}
