//! Counts of the records that wait in the spill.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntGauge;

/// Gauges of the waiting records. The spill and its segments share them.
#[derive(Clone, Debug)]
pub(in crate::usage) struct SpillGauges {
    /// Number of records.
    pub(in crate::usage) rows: IntGauge,
    /// Size of the records in bytes.
    pub(in crate::usage) bytes: IntGauge,
}

/// The records that wait for the store, counted in bytes.
#[derive(Debug)]
pub(super) struct Waiting {
    bytes: AtomicU64,
    gauges: SpillGauges,
}

impl Waiting {
    pub(super) fn new(gauges: SpillGauges) -> Self {
        Self { bytes: AtomicU64::new(0), gauges }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, rows: usize, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.gauges.rows.add(rows as i64);
        self.gauges.bytes.add(bytes as i64);
    }

    pub(super) fn subtract(&self, rows: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        self.gauges.rows.sub(rows as i64);
        self.gauges.bytes.sub(bytes as i64);
    }
}
