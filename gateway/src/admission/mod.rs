//! Whether a request is let in, decided on its headers, before its body is read.

mod ledger;
mod pace;
mod rates;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use faceline_shared::config::Config;
use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::telemetry::Metrics;
use prometheus::IntGauge;

use self::ledger::{Bounds, Ledger};
use self::pace::Pace;
use self::rates::Rates;
use crate::accounts::{Caller, Rate};

/// When to come again after the way to the workers was lost: it is tried about once a second.
const OUTAGE: Duration = Duration::from_secs(5);

/// The bounds of one gateway and what is in flight under them.
pub struct Admission {
    bounds: Bounds,
    rates: Rates,
    state: Mutex<State>,
    /// A job is answered by then, so this many in flight are done at that pace at least.
    deadline: Duration,
    jobs: IntGauge,
    bytes: IntGauge,
}

struct State {
    ledger: Ledger,
    pace: Pace,
}

/// A request that was let in; what it holds is free again when this is dropped.
pub struct Ticket {
    admission: Arc<Admission>,
    client: Arc<str>,
    bytes: usize,
}

impl Admission {
    /// Bounds as `config` has them.
    #[must_use]
    pub fn new(config: &Config, metrics: &Metrics) -> Arc<Self> {
        let limits = &config.limits;
        let bounds = Bounds {
            jobs: limits.inflight_jobs,
            bytes: limits.inflight_bytes,
            client_share: limits.client_share,
        };
        let default_rate = Rate { requests_per_second: limits.requests_per_second, burst: limits.burst };
        Arc::new(Self {
            bounds,
            rates: Rates::new(default_rate),
            state: Mutex::new(State { ledger: Ledger::default(), pace: Pace::new(Instant::now()) }),
            deadline: config.jobs.deadline,
            jobs: metrics
                .gauge("faceline_gateway_inflight_jobs", "Requests that were let in and are not answered."),
            bytes: metrics
                .gauge("faceline_gateway_inflight_bytes", "Bytes of bodies that are held or promised."),
        })
    }

    /// Lets a request of `caller` in with the first `bytes` of its body.
    ///
    /// # Errors
    /// [`Fault::Busy`] with its cause and when to come again.
    pub fn admit(self: &Arc<Self>, caller: &Caller, bytes: usize) -> Result<Ticket, Fault> {
        self.rates
            .check(&caller.key_id, caller.rate)
            .map_err(|wait| Fault::busy(BusyCause::ClientRate, wait))?;
        let mut state = self.state();
        match state.ledger.open(&caller.client, bytes, &self.bounds) {
            Ok(()) => {
                self.show(&state.ledger);
                Ok(Ticket { admission: Arc::clone(self), client: Arc::clone(&caller.client), bytes })
            }
            Err(cause) => Err(self.refuse(&mut state, cause)),
        }
    }

    /// What a caller is told while there is no way to the workers.
    #[must_use]
    pub fn outage(&self) -> Fault {
        Fault::busy(BusyCause::BrokerUnreachable, pace::spread(OUTAGE))
    }

    /// What a caller is told whose job waited too long.
    #[must_use]
    pub fn too_late(&self) -> Fault {
        self.refuse(&mut self.state(), BusyCause::DeadlineQueued { callers_own: false })
    }

    fn refuse(&self, state: &mut State, cause: BusyCause) -> Fault {
        let slowest = state.ledger.jobs() as f64 / self.deadline.as_secs_f64();
        Fault::busy(cause, pace::spread(state.pace.refused(Instant::now(), slowest)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, ledger: &Ledger) {
        self.jobs.set(ledger.jobs() as i64);
        self.bytes.set(ledger.bytes() as i64);
    }
}

impl Ticket {
    /// Takes room for more of the body. Never waits: who waits for room holds room that others wait for.
    ///
    /// # Errors
    /// [`Fault::Busy`] where there is none.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        let mut state = self.admission.state();
        match state.ledger.grow(&self.client, bytes, &self.admission.bounds) {
            Ok(()) => {
                self.admission.show(&state.ledger);
                self.bytes += bytes;
                Ok(())
            }
            Err(cause) => Err(self.admission.refuse(&mut state, cause)),
        }
    }

    /// Room that was taken, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.ledger.close(&self.client, self.bytes);
        state.pace.completed(Instant::now());
        self.admission.show(&state.ledger);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Accounts, Credential};

    fn admission(change: impl FnOnce(&mut Config)) -> (Arc<Admission>, Caller, Metrics) {
        let mut config = Config::default();
        change(&mut config);
        let metrics = Metrics::new();
        let demo = Accounts::load(&config).unwrap().authenticate(Some(Credential::ApiKey(b"demo"))).unwrap();
        (Admission::new(&config, &metrics), demo, metrics)
    }

    fn cause(result: Result<impl Sized, Fault>) -> BusyCause {
        let fault = result.err().unwrap();
        let busy = fault.as_busy().unwrap();
        assert!((1..=30).contains(&busy.retry_after_seconds()), "{busy:?}");
        busy.cause
    }

    #[test]
    fn a_dropped_ticket_makes_room_again() {
        let (admission, demo, metrics) = admission(|config| {
            config.limits.inflight_jobs = 2;
            config.limits.client_share = 1.0;
        });
        let first = admission.admit(&demo, 10).unwrap();
        let second = admission.admit(&demo, 10).unwrap();
        assert_eq!(cause(admission.admit(&demo, 10)), BusyCause::InFlight);
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 20"));
        drop(first);
        let third = admission.admit(&demo, 10).unwrap();
        drop((second, third));
        assert!(metrics.encode().contains("faceline_gateway_inflight_jobs 0"));
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 0"));
    }

    #[test]
    fn a_body_that_grows_beyond_the_budget_is_refused() {
        let (admission, demo, _) = admission(|config| {
            config.limits.inflight_bytes = 100;
            config.limits.client_share = 1.0;
        });
        let mut ticket = admission.admit(&demo, 60).unwrap();
        ticket.grow(30).unwrap();
        assert_eq!(cause(ticket.grow(30)), BusyCause::Bytes);
        assert_eq!(ticket.bytes(), 90);
        drop(ticket);
        assert!(admission.admit(&demo, 100).is_ok());
    }

    #[test]
    fn a_client_that_sends_too_fast_is_refused_before_it_takes_room() {
        let (admission, demo, metrics) = admission(|config| {
            config.limits.requests_per_second = 1;
            config.limits.burst = 1;
        });
        let ticket = admission.admit(&demo, 10).unwrap();
        assert_eq!(cause(admission.admit(&demo, 10)), BusyCause::ClientRate);
        assert!(metrics.encode().contains("faceline_gateway_inflight_jobs 1"));
        drop(ticket);
    }
}
