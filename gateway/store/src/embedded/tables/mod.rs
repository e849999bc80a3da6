//! The tables of the file, in a transaction that may change them.

pub(super) mod idempotency;
pub(super) mod ledger;
pub(super) mod outbox;
pub(super) mod owners;
mod replays;
pub(super) mod sessions;

use redb::WriteTransaction;

use self::idempotency::IdempotencyTables;
use self::outbox::OutboxTables;
use self::owners::OwnerTables;
use self::sessions::SessionTables;
use super::clock::Clock;
use super::failure::TableResult;
use crate::outbox::Lane;

/// All tables. Times are the clock's milliseconds since 1970.
pub(super) struct Tables<'a> {
    clock: &'a Clock,
    sessions: SessionTables<'a>,
    session_outbox: OutboxTables<'a>,
    usage_outbox: OutboxTables<'a>,
    replay_outbox: OutboxTables<'a>,
    callback_outbox: OutboxTables<'a>,
    dead_callback_outbox: OutboxTables<'a>,
    idempotency: IdempotencyTables<'a>,
    owners: OwnerTables<'a>,
    /// Whether to commit the transaction even if no row changed.
    pub(super) must_commit: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, clock: &'a Clock) -> TableResult<Self> {
        Ok(Self {
            clock,
            sessions: SessionTables::open(transaction)?,
            session_outbox: OutboxTables::open(transaction, Lane::Sessions)?,
            usage_outbox: OutboxTables::open(transaction, Lane::Usage)?,
            replay_outbox: OutboxTables::open(transaction, Lane::Replays)?,
            callback_outbox: OutboxTables::open(transaction, Lane::Callbacks)?,
            dead_callback_outbox: OutboxTables::open(transaction, Lane::DeadCallbacks)?,
            idempotency: IdempotencyTables::open(transaction)?,
            owners: OwnerTables::open(transaction)?,
            must_commit: false,
        })
    }

    /// Whether there are changes to commit.
    pub(super) fn has_changed(&self) -> bool {
        self.must_commit
            || self.sessions.changed
            || self.session_outbox.changed
            || self.usage_outbox.changed
            || self.replay_outbox.changed
            || self.callback_outbox.changed
            || self.dead_callback_outbox.changed
            || self.idempotency.changed
            || self.owners.changed
    }

    /// The sessions, the outbox that belongs to them, and the time.
    pub(super) fn sessions(&mut self) -> (&mut SessionTables<'a>, &mut OutboxTables<'a>, u64) {
        (&mut self.sessions, &mut self.session_outbox, self.clock.now())
    }

    /// The outbox of a lane, and the time.
    pub(super) fn outbox(&mut self, lane: Lane) -> (&mut OutboxTables<'a>, u64) {
        let outbox = match lane {
            Lane::Sessions => &mut self.session_outbox,
            Lane::Usage => &mut self.usage_outbox,
            Lane::Replays => &mut self.replay_outbox,
            Lane::Callbacks => &mut self.callback_outbox,
            Lane::DeadCallbacks => &mut self.dead_callback_outbox,
        };
        (outbox, self.clock.now())
    }

    /// The idempotency records, and the time.
    pub(super) fn idempotency(&mut self) -> (&mut IdempotencyTables<'a>, u64) {
        (&mut self.idempotency, self.clock.now())
    }

    /// The owners of sessions, and the time.
    pub(super) fn owners(&mut self) -> (&mut OwnerTables<'a>, u64) {
        (&mut self.owners, self.clock.now())
    }

    /// Removes up to `limit` ended sessions, and as many expired idempotency records and owners, in the order of
    /// their ends.
    pub(super) fn remove_ended(&mut self, limit: usize) -> TableResult<()> {
        let now = self.clock.now();
        self.idempotency.remove_expired(now, limit)?;
        self.owners.remove_expired(now, limit)?;
        self.sessions.remove_ended(now, limit)
    }
}
