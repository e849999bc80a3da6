//! Bounds on the data that each client keeps in the session store, and metrics of how much of them clients use.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faceline_gateway_store::sealed::{RecordError, SealedSessions};
use faceline_gateway_store::{ClientBound, ClientBounds, ClientFull, StoreError};
use faceline_shared::settings::LimitSettings;
use faceline_shared::telemetry::Metrics;
use prometheus::{GaugeVec, IntCounterVec};
use tokio::time::{MissedTickBehavior, interval};

use super::faults::record_fault;
use crate::accounts::Accounts;
use crate::fault::{BusyCause, Fault};

/// Interval at which the use of clients is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// Share of a bound above which a client is measured again, even if it creates nothing.
const WATCHED_SHARE: f64 = 0.5;
/// Share of a bound from which on the log names the client.
const WARNED_SHARE: f64 = 0.9;

/// The bounds of all clients.
pub(super) struct ClientBoundPolicy {
    settings: LimitSettings,
    /// Limits of single clients.
    accounts: Option<Arc<Accounts>>,
    /// Clients that have created something since the last measurement, or were close to a bound then.
    watched: Mutex<HashSet<String>>,
    refused: IntCounterVec,
    largest_share: GaugeVec,
}

impl ClientBoundPolicy {
    pub(super) fn new(settings: &LimitSettings, metrics: &Metrics) -> Self {
        let bounds = Self {
            settings: settings.clone(),
            accounts: None,
            watched: Mutex::default(),
            refused: metrics.counters(
                "faceline_client_bound_refusals_total",
                "Requests that were refused because their client keeps as much as it may, by bound.",
                &["bound"],
            ),
            largest_share: metrics.float_gauges(
                "faceline_client_bound_used_ratio",
                "The largest share of a bound that one of the clients uses which created something lately.",
                &["bound"],
            ),
        };
        // An alert on the first refusal needs the value 0 before it.
        for bound in ClientBound::ALL {
            bounds.refused.with_label_values(&[bound.label()]);
            bounds.largest_share.with_label_values(&[bound.label()]);
        }
        bounds
    }

    /// Adds the limits of single clients.
    pub(super) fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// Returns the bounds of a client that is about to create something.
    pub(super) fn of(&self, client: &str) -> ClientBounds {
        let mut watched = self.lock();
        if !watched.contains(client) {
            watched.insert(client.to_owned());
        }
        drop(watched);
        self.bounds(client)
    }

    fn bounds(&self, client: &str) -> ClientBounds {
        let own = self.accounts.as_ref().and_then(|accounts| accounts.client_limits(client));
        own.unwrap_or_default().bounds(&self.settings)
    }

    /// The fault for something that cannot be created.
    pub(super) fn creation_fault(&self, error: &RecordError) -> Fault {
        match error {
            RecordError::Store(StoreError::ClientFull(full)) => self.client_full(*full),
            error => record_fault(error),
        }
    }

    /// The fault for a client that has reached a bound. Until the first of its items expires, only a deletion frees
    /// capacity.
    fn client_full(&self, full: ClientFull) -> Fault {
        self.refused.with_label_values(&[full.bound.label()]).inc();
        Fault::busy(BusyCause::ClientStorage(full.bound), full.first_expiry)
    }

    /// Measures clients until the future is dropped.
    pub(super) async fn watch(&self, sessions: &SealedSessions) {
        let mut ticks = interval(MEASURE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned = HashSet::new();
        loop {
            ticks.tick().await;
            self.measure(sessions, &mut warned).await;
        }
    }

    /// Measures the watched clients. `warned` contains the clients that the log has named.
    async fn measure(&self, sessions: &SealedSessions, warned: &mut HashSet<String>) {
        let clients = std::mem::take(&mut *self.lock());
        let mut largest = [0.0_f64; ClientBound::ALL.len()];
        for client in clients {
            // `dependencies.rs` reports an unavailable store.
            let Ok(usage) = sessions.client_usage(&client).await else { continue };
            let bounds = self.bounds(&client);
            let mut clients_largest = 0.0_f64;
            for (largest, bound) in largest.iter_mut().zip(ClientBound::ALL) {
                // Without a bound this is close to 0.
                let share = usage.of(bound) as f64 / bounds.of(bound) as f64;
                *largest = largest.max(share);
                clients_largest = clients_largest.max(share);
            }
            if clients_largest < WARNED_SHARE {
                warned.remove(&client);
            } else if warned.insert(client.clone()) {
                tracing::warn!(client, ?usage, ?bounds, "a client keeps nearly as much as it may");
            }
            if clients_largest > WATCHED_SHARE {
                self.lock().insert(client);
            }
        }
        for (largest, bound) in largest.into_iter().zip(ClientBound::ALL) {
            self.largest_share.with_label_values(&[bound.label()]).set(largest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
