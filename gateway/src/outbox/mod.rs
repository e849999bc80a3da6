//! Works on the lanes of the transactional outbox.
//!
//! A row is written in the same transaction as the change that it follows, so it exists even if the gateway dies right
//! after the change. Every gateway leases rows that are due, does their work, and removes them. The work is idempotent,
//! because a row whose lease ends is processed again. The modules that write rows implement their work
//! ([`RowHandler`]); a [`LaneWorker`] leases, retries and settles the rows.

mod lane_worker;
mod metrics;

pub(crate) use self::lane_worker::{LaneTerms, LaneWorker, NextStep, RowHandler};
pub(crate) use self::metrics::OutboxMetrics;
