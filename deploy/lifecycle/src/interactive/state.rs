//! A state of the model: callers, gateways, messages, workers.

use crate::{GATEWAYS, JOBS, Job, QUARANTINE_ATTEMPTS, WORKERS, add};

/// What a caller got.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Answer {
    /// The result of this job.
    Result(Job),
    /// The error that this job kills its workers.
    Poison(Job),
    /// The error that the deadline has passed.
    Expired,
    /// A broken connection, because the gateway died.
    Disconnected,
}

/// A reply queue: one generation of one gateway.
pub(super) type ReplyQueue = (u8, u8);

/// A job's message at the broker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Message {
    pub(super) job: Job,
    pub(super) reply_to: ReplyQueue,
    /// Whether it is in the quarantine queue.
    pub(super) quarantined: bool,
    /// Failed attempts in its queue.
    pub(super) attempts: u8,
}

/// A result on its way to a reply queue that exists.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reply {
    pub(super) queue: ReplyQueue,
    /// The id in the envelope, by which the gateway finds the caller.
    pub(super) correlation: Job,
    pub(super) answer: Answer,
}

/// How far a worker is with a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Taken,
    /// The answer is known and not published.
    Done(Answer),
    /// The broker has what takes the message's place: the reply, or the message in the quarantine.
    Published,
}

/// A worker with a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Busy {
    pub(super) message: Message,
    pub(super) stage: Stage,
    /// Whether the delivery is still this worker's: its connection was not lost, and it has not acknowledged.
    pub(super) owns: bool,
}

/// A gateway. It remembers nothing when it dies.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gateway {
    pub(super) generation: u8,
    pub(super) is_open: bool,
    pub(super) pending: Vec<Job>,
}

/// A state of the model.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The gateway that each job's caller is connected to.
    pub(super) gateway_of: [u8; JOBS],
    /// Whether the first job kills every worker that runs it (a poison message).
    pub(super) first_is_poison: bool,
    pub(super) submitted: [bool; JOBS],
    pub(super) answers: [Option<Answer>; JOBS],
    pub(super) answered_twice: bool,
    pub(super) messages: Vec<Message>,
    pub(super) replies: Vec<Reply>,
    pub(super) workers: [Option<Busy>; WORKERS],
    pub(super) gateways: [Gateway; GATEWAYS],
    /// Attempts of each job that failed: its worker ended, or lost its connection.
    pub(super) failures: [u8; JOBS],
    pub(super) faults_left: u8,
}

impl State {
    pub(super) fn gateway_of(&mut self, job: Job) -> &mut Gateway {
        &mut self.gateways[usize::from(self.gateway_of[usize::from(job)])]
    }

    pub(super) fn publish(&mut self, job: Job) {
        let number = self.gateway_of[usize::from(job)];
        let reply_to = (number, self.gateways[usize::from(number)].generation);
        add(&mut self.messages, Message { job, reply_to, quarantined: false, attempts: 0 });
    }

    pub(super) fn answer(&mut self, job: Job, answer: Answer) {
        self.answered_twice |= self.answers[usize::from(job)].replace(answer).is_some();
    }

    /// A worker's process ends; another one takes its place. What it had not acknowledged is delivered again.
    pub(super) fn worker_ends(&mut self, index: usize) {
        if let Some(busy) = self.workers[index].take() {
            self.failures[usize::from(busy.message.job)] += 1;
            if busy.owns {
                self.redeliver(busy.message);
            }
        }
    }

    pub(super) fn redeliver(&mut self, message: Message) {
        // More attempts than the rules tell apart are one.
        let attempts = (message.attempts + 1).min(QUARANTINE_ATTEMPTS);
        add(&mut self.messages, Message { attempts, ..message });
    }

    /// The next generation is open after [`Action::Reopen`].
    pub(super) fn lose_reply_queue(&mut self, index: usize) {
        let gateway = &mut self.gateways[index];
        let lost = (index as u8, gateway.generation);
        gateway.generation += 1;
        gateway.is_open = false;
        self.replies.retain(|reply| reply.queue != lost);
    }

    /// Whether an answer to a pending job is certain: its job or its result is at the broker, or a worker has it, or it will be
    /// published again.
    pub(super) fn is_carried(&self, job: Job, gateway: &Gateway, number: u8) -> bool {
        let present = (number, gateway.generation);
        let is_for = |message: &Message| message.job == job && message.reply_to == present;
        // A message that is not acknowledged yet comes back if its worker dies; what a worker alone has, does not.
        !gateway.is_open
            || self.messages.iter().any(is_for)
            || self.workers.iter().flatten().any(|busy| busy.owns && is_for(&busy.message))
            || self.replies.iter().any(|reply| reply.queue == present && reply.correlation == job)
    }
}
