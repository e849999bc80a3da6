//! A state of the model: callers, gateways, messages, workers.

use crate::{GATEWAYS, JOBS, Job, QUARANTINE_ATTEMPTS, WORKERS, add};

/// The outcome that a caller received.
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

/// A result that is published to an existing reply queue.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reply {
    pub(super) queue: ReplyQueue,
    /// The id in the envelope, by which the gateway finds the caller.
    pub(super) correlation: Job,
    pub(super) answer: Answer,
}

/// A worker's progress with a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Taken,
    /// The worker has the answer and has not published it.
    Done(Answer),
    /// The broker has the successor of the message: the reply, or the message in the quarantine.
    Published,
}

/// A worker with a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Busy {
    pub(super) message: Message,
    pub(super) stage: Stage,
    /// Whether the worker still owns the delivery: it has not lost its connection, and it has not acknowledged.
    pub(super) owns: bool,
}

/// A gateway. It loses its state when it dies.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gateway {
    pub(super) generation: u8,
    pub(super) is_open: bool,
    pub(super) pending: Vec<Job>,
}

/// A state of the model.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The gateway to which each job's caller is connected.
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
    /// Number of failed attempts of each job: its worker ended, or lost its connection.
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

    /// A worker's process ends, and another one replaces it. The broker delivers its unacknowledged message again.
    pub(super) fn worker_ends(&mut self, index: usize) {
        if let Some(busy) = self.workers[index].take() {
            self.failures[usize::from(busy.message.job)] += 1;
            if busy.owns {
                self.redeliver(busy.message);
            }
        }
    }

    pub(super) fn redeliver(&mut self, message: Message) {
        // The rules do not distinguish higher numbers of attempts, so the model does not count them.
        let attempts = (message.attempts + 1).min(QUARANTINE_ATTEMPTS);
        add(&mut self.messages, Message { attempts, ..message });
    }

    /// Removes the gateway's reply queue with its messages. [`Action::Reopen`] opens the next generation.
    pub(super) fn lose_reply_queue(&mut self, index: usize) {
        let gateway = &mut self.gateways[index];
        let lost = (index as u8, gateway.generation);
        gateway.generation += 1;
        gateway.is_open = false;
        self.replies.retain(|reply| reply.queue != lost);
    }

    /// Whether an answer to a pending job is certain: the broker has its job or its result, a worker has its delivery,
    /// or the gateway will publish it again.
    pub(super) fn is_carried(&self, job: Job, gateway: &Gateway, number: u8) -> bool {
        let present = (number, gateway.generation);
        let is_for = |message: &Message| message.job == job && message.reply_to == present;
        // An unacknowledged message is delivered again if its worker dies. A message that only the worker has is lost.
        !gateway.is_open
            || self.messages.iter().any(is_for)
            || self.workers.iter().flatten().any(|busy| busy.owns && is_for(&busy.message))
            || self.replies.iter().any(|reply| reply.queue == present && reply.correlation == job)
    }
}
