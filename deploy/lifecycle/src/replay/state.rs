//! A state of the model: replays, rows, messages, workers, gateways, and effects outside the store.

use std::collections::BTreeMap;

use crate::{GATEWAYS, JOBS, Job, QUARANTINE_ATTEMPTS, WORKERS, add};

/// Maximum number of times a job is published before its replay ends with ERROR.
pub(super) const MAX_PUBLISHES: u8 = 2;

/// The end of a replay.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum End {
    /// With the judgement of this job's video.
    Judged(Job),
    /// With an error, because the job of this replay kills its workers.
    Poison(Job),
    /// With an error, because no worker judged it in time.
    NotInTime,
}

/// The purpose of a row of the outbox. Its key is the job and the lane, so a row replaces one with the same key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Lane {
    Replays,
    Callbacks,
    Usage,
}

/// The payload of a row.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Work {
    /// Publish the job, which was published `published` times before. After [`MAX_PUBLISHES`] times, end the replay
    /// instead.
    Judge {
        published: u8,
    },
    DeleteMedia,
    Callback,
    RecordUsage,
}

/// A row with the gateway that has its lease.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Row {
    pub(super) work: Work,
    pub(super) leased_by: Option<u8>,
}

pub(super) type RowKey = (Job, Lane);

/// A job's message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Message {
    pub(super) job: Job,
    pub(super) quarantined: bool,
    pub(super) attempts: u8,
}

/// A worker with a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Busy {
    pub(super) message: Message,
    /// Whether the broker has the successor of the message: the result, or the message in the quarantine.
    pub(super) is_published: bool,
}

/// A result in the durable queue that all gateways consume.
pub(super) type ResultMessage = (Job, End);

/// The item that a gateway works on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum InHand {
    /// A row whose work is not done.
    Row(RowKey, Work),
    /// A row whose work is done, with the payload for its next execution, or `None`.
    DoneRow(RowKey, Option<Work>),
    /// A result that was not processed.
    Result(ResultMessage),
    /// A result that the store has recorded, or that changes nothing.
    DoneResult(ResultMessage),
    /// A replay that has ended in the store without its rows. Only an incorrect program has this.
    EndedWithoutRows(ResultMessage),
}

/// A state of the model.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    pub(super) first_is_poison: bool,
    pub(super) uploaded: [bool; JOBS],
    pub(super) ends: [Option<End>; JOBS],
    pub(super) ended_twice: bool,
    pub(super) has_media: [bool; JOBS],
    pub(super) rows: BTreeMap<RowKey, Row>,
    pub(super) messages: Vec<Message>,
    pub(super) results: Vec<ResultMessage>,
    pub(super) workers: [Option<Busy>; WORKERS],
    pub(super) gateways: [Option<InHand>; GATEWAYS],
    /// Number of different ids among the callbacks that the service provider has received.
    pub(super) callback_ids: [u8; JOBS],
    /// Number of different ids among the usage records in the object store.
    pub(super) usage_ids: [u8; JOBS],
    pub(super) called_back_too_early: bool,
    pub(super) faults_left: u8,
}

impl State {
    /// Writes a row in place of the one with the same key, and removes that row's lease.
    pub(super) fn write(&mut self, job: Job, work: Work) {
        let lane = match work {
            Work::Judge { .. } | Work::DeleteMedia => Lane::Replays,
            Work::Callback => Lane::Callbacks,
            Work::RecordUsage => Lane::Usage,
        };
        self.rows.insert((job, lane), Row { work, leased_by: None });
    }

    pub(super) fn set_end(&mut self, job: Job, end: End) {
        self.ended_twice |= self.ends[usize::from(job)].replace(end).is_some();
    }

    pub(super) fn call_back(&mut self, job: Job, has_fresh_id: bool) {
        let index = usize::from(job);
        self.called_back_too_early |= self.ends[index].is_none();
        let ids = &mut self.callback_ids[index];
        *ids = if has_fresh_id { *ids + 1 } else { 1 };
    }

    /// The key of the row that a gateway works on, if the gateway still has the lease.
    pub(super) fn leased_row(&self, index: usize) -> Option<RowKey> {
        let Some(InHand::Row(key, _) | InHand::DoneRow(key, _)) = self.gateways[index] else { return None };
        self.rows.get(&key).filter(|row| row.leased_by == Some(index as u8)).map(|_| key)
    }

    pub(super) fn gateway_dies(&mut self, index: usize) {
        if let Some(key) = self.leased_row(index)
            && let Some(row) = self.rows.get_mut(&key)
        {
            row.leased_by = None;
        }
        if let Some(InHand::Result(result) | InHand::DoneResult(result) | InHand::EndedWithoutRows(result)) =
            self.gateways[index].take()
        {
            add(&mut self.results, result);
        }
    }

    pub(super) fn worker_ends(&mut self, index: usize) {
        if let Some(Busy { message, .. }) = self.workers[index].take() {
            let attempts = (message.attempts + 1).min(QUARANTINE_ATTEMPTS);
            add(&mut self.messages, Message { attempts, ..message });
        }
    }

    /// Whether a row may be worked on now. In the programs, the rows of an end are processed in any order. They do not
    /// affect each other, so the model uses one order: callback, usage record, deletion.
    pub(super) fn is_next(&self, (job, lane): RowKey, work: Work) -> bool {
        let earlier = match (lane, work) {
            (Lane::Callbacks, _) | (_, Work::Judge { .. }) => 0,
            (Lane::Usage, _) => 1,
            (Lane::Replays, _) => 2,
        };
        [Lane::Callbacks, Lane::Usage][..earlier].iter().all(|lane| !self.has_row(usize::from(job), *lane))
    }

    pub(super) fn has_row(&self, job: usize, lane: Lane) -> bool {
        self.rows.contains_key(&(job as Job, lane))
    }

    /// Symmetry reduction: swaps the gateways, which are interchangeable, if that makes the state smaller.
    pub(super) fn order_gateways(&mut self) {
        if self.gateways.is_sorted() {
            return;
        }
        self.gateways.reverse();
        for row in self.rows.values_mut() {
            row.leased_by = row.leased_by.map(|index| GATEWAYS as u8 - 1 - index);
        }
    }
}
