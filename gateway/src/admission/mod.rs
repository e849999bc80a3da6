//! Whether a request is let in, decided on its headers, before its body is read.
//!
//! In this order, once the key's rate has let it pass (`http/receive.rs`): the client's share of what is in flight, this
//! gateway's jobs and bytes, and the limit that adapts to how long jobs wait for a worker (`limit.rs`). Who is refused is
//! told when to come again and then goes first (`promises.rs`).
//!
//! A caller who comes again is recognised without being asked for anything (`fingerprint.rs`). Where several gateways stand behind
//! a balancer that sends the second try to another one, that one knows nothing of the promise, and the caller is there as
//! good as any other.

mod fingerprint;
mod ledger;
mod limit;
mod metrics;
mod pace;
mod promises;
#[cfg(test)]
mod simulation;
mod throttle;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{BusyCause, Fault};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use rand::RngExt as _;

pub use self::fingerprint::{ClientConnection, ConnectionId, RequestFingerprint};
use self::ledger::{Bounds, Ledger};
use self::metrics::AdmissionMetrics;
use self::throttle::{Stage, Throttle};
use crate::accounts::Caller;

/// When to come again after the way to the workers was lost: it is tried about once a second.
const OUTAGE: Duration = Duration::from_secs(5);

/// Pictures that are kept in the process's own blob store are there twice: as received, and sealed.
const EMBEDDED_WEIGHT: usize = 2;

/// The bounds of one gateway and what is in flight under them.
pub struct Admission {
    bounds: Bounds,
    /// Bytes that a byte of a body takes.
    weight: usize,
    state: Mutex<State>,
    /// A job is answered by then, so this many in flight are done at that pace at least.
    deadline: Duration,
    hasher: RandomState,
    metrics: AdmissionMetrics,
}

struct State {
    ledger: Ledger,
    throttle: Throttle,
}

/// A request that was let in; what it holds is free again when this is dropped.
pub struct Ticket {
    admission: Arc<Admission>,
    client: Arc<str>,
    fingerprint: RequestFingerprint,
    /// Of a job; what makes none is not in the throttle's way.
    stage: Option<Stage>,
    bytes: usize,
}

impl Admission {
    /// Bounds as `config` has them.
    #[must_use]
    pub fn new(config: &Settings, metrics: &Metrics) -> Arc<Self> {
        let limits = &config.limits;
        let bounds = Bounds {
            jobs: limits.inflight_jobs,
            bytes: limits.inflight_bytes,
            limit: limits.inflight_jobs,
            client_share: limits.client_share,
        };
        let admission = &config.admission;
        let throttle =
            Throttle::new(Instant::now(), admission.target_wait, bounds.jobs, admission.longest_retry_after);
        let metrics = AdmissionMetrics::new(metrics);
        metrics.limit.set(bounds.jobs as i64);
        let is_embedded = config.blobs_url().is_embedded();
        Arc::new(Self {
            bounds,
            weight: if is_embedded { EMBEDDED_WEIGHT } else { 1 },
            state: Mutex::new(State { ledger: Ledger::default(), throttle }),
            deadline: config.jobs.deadline,
            hasher: RandomState::new(),
            metrics,
        })
    }

    /// The longest body that there is ever room for, in bytes.
    #[must_use]
    pub fn longest_body(&self) -> usize {
        self.bounds.bytes / self.weight
    }

    /// What a request to `path` with a body of `length` is recognised by when it comes again.
    #[must_use]
    pub fn fingerprint(
        &self,
        caller: &Caller,
        path: &str,
        length: Option<u64>,
        way: ConnectionId,
    ) -> RequestFingerprint {
        RequestFingerprint::new(self.hasher.hash_one((&caller.key_id, path, length)), way)
    }

    /// Lets a request of `caller` in with the first `bytes` of its body.
    ///
    /// # Errors
    /// [`Fault::Busy`] with its cause and when to come again.
    pub fn admit(
        self: &Arc<Self>,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<Ticket, Fault> {
        self.admit_at(Instant::now(), caller, fingerprint, bytes)
    }

    /// Lets a request in that makes no job: it takes room like others, and waits for no worker.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub fn admit_without_job(
        self: &Arc<Self>,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<Ticket, Fault> {
        let mut state = self.state();
        if let Err(cause) = state.ledger.has_room(&caller.client, bytes * self.weight, &self.bounds) {
            return Err(self.refuse(&mut state, Instant::now(), fingerprint, cause));
        }
        Ok(self.ticket(&mut state, caller, fingerprint, None, bytes))
    }

    fn ticket(
        self: &Arc<Self>,
        state: &mut State,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        stage: Option<Stage>,
        bytes: usize,
    ) -> Ticket {
        state.ledger.open(&caller.client, bytes * self.weight);
        self.show(state);
        let client = Arc::clone(&caller.client);
        Ticket { admission: Arc::clone(self), client, fingerprint: fingerprint.clone(), stage, bytes }
    }

    fn admit_at(
        self: &Arc<Self>,
        now: Instant,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<Ticket, Fault> {
        let mut state = self.state();
        let is_expected = state.throttle.expects(now, fingerprint);
        if is_expected {
            self.metrics.kept.inc();
        }
        if let Err(cause) = self.room(&mut state, now, &caller.client, is_expected, bytes * self.weight) {
            return Err(self.refuse(&mut state, now, fingerprint, cause));
        }
        let stage = state.throttle.enter(now);
        Ok(self.ticket(&mut state, caller, fingerprint, Some(stage), bytes))
    }

    fn room(
        &self,
        state: &mut State,
        now: Instant,
        client: &Arc<str>,
        is_expected: bool,
        bytes: usize,
    ) -> Result<(), BusyCause> {
        let bounds = Bounds { limit: state.throttle.limit(), ..self.bounds };
        state.ledger.has_room(client, bytes, &bounds)?;
        if state.throttle.has_room(now, is_expected) { Ok(()) } else { Err(BusyCause::Wait) }
    }

    /// A job was answered that had waited for `wait` besides the time that a worker took.
    pub fn answered(&self, wait: Duration) {
        let mut state = self.state();
        state.throttle.answered(Instant::now(), wait);
        self.metrics.limit.set(state.throttle.limit() as i64);
    }

    /// What a caller is told who was let in, or would have been, and cannot be served after all.
    #[must_use]
    pub fn refusal(&self, fingerprint: &RequestFingerprint, cause: BusyCause) -> Fault {
        match cause {
            BusyCause::BrokerUnreachable | BusyCause::StoreUnreachable => outage(cause),
            _ => self.refuse(&mut self.state(), Instant::now(), fingerprint, cause),
        }
    }

    fn refuse(
        &self,
        state: &mut State,
        now: Instant,
        fingerprint: &RequestFingerprint,
        cause: BusyCause,
    ) -> Fault {
        if matches!(cause, BusyCause::Wait | BusyCause::ClientShare) {
            state.throttle.felt();
        }
        let slowest = state.ledger.jobs() as f64 / self.deadline.as_secs_f64();
        let promise = state.throttle.promise(now, fingerprint, slowest, rand::rng().random());
        let counter = if promise.is_booked { &self.metrics.booked } else { &self.metrics.unbooked };
        counter.inc();
        Fault::busy(cause, promise.after)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        self.metrics.jobs.set(state.ledger.jobs() as i64);
        self.metrics.bytes.set(state.ledger.bytes() as i64);
    }
}

impl Ticket {
    /// Takes room for more of the body. Never waits: who waits for room holds room that others wait for.
    ///
    /// # Errors
    /// [`Fault::Busy`] where there is none.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        let mut state = self.admission.state();
        let room = bytes * self.admission.weight;
        match state.ledger.grow(&self.client, room, &self.admission.bounds) {
            Ok(()) => {
                self.admission.show(&state);
                self.bytes += bytes;
                Ok(())
            }
            Err(cause) => Err(self.admission.refuse(&mut state, Instant::now(), &self.fingerprint, cause)),
        }
    }

    /// Takes a place for a job, where a request turns out to need one.
    ///
    /// # Errors
    /// [`Fault::Busy`] where the workers have more than enough to do.
    pub fn begin_job(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        let mut state = self.admission.state();
        let is_expected = state.throttle.expects(now, &self.fingerprint);
        if !state.throttle.has_room(now, is_expected) {
            return Err(self.admission.refuse(&mut state, now, &self.fingerprint, BusyCause::Wait));
        }
        let mut stage = state.throttle.enter(now);
        state.throttle.receive(&mut stage);
        self.stage = Some(stage);
        Ok(())
    }

    /// The job is answered; what is left to do keeps no other one waiting.
    pub fn end_job(&mut self) {
        if let Some(stage) = self.stage.take() {
            self.admission.state().throttle.leave(&stage);
        }
    }

    /// The body is here as a whole.
    pub fn received(&mut self) {
        if let Some(stage) = &mut self.stage {
            self.admission.state().throttle.receive(stage);
        }
    }

    /// Bytes of the body that room was taken for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.ledger.close(&self.client, self.bytes * self.admission.weight);
        if let Some(stage) = &self.stage {
            state.throttle.leave(stage);
        }
        self.admission.show(&state);
    }
}

/// What a caller is told while something is away that everybody needs.
#[must_use]
pub fn outage(cause: BusyCause) -> Fault {
    // So that those refused together do not come again together.
    Fault::busy(cause, OUTAGE.mul_f64(rand::rng().random_range(1.0..1.5)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::demo_caller;

    fn admission(change: impl FnOnce(&mut Settings)) -> (Arc<Admission>, Caller, Metrics) {
        let mut config = Settings::default();
        config.blobs.url = Some("redis://127.0.0.1".parse().unwrap());
        change(&mut config);
        let metrics = Metrics::new();
        (Admission::new(&config, &metrics), demo_caller(), metrics)
    }

    fn admit(admission: &Arc<Admission>, caller: &Caller, bytes: usize) -> Result<Ticket, Fault> {
        admission.admit(
            caller,
            &admission.fingerprint(caller, "/", Some(bytes as u64), ConnectionId::default()),
            bytes,
        )
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
        let first = admit(&admission, &demo, 10).unwrap();
        let mut second = admit(&admission, &demo, 10).unwrap();
        second.received();
        assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::InFlight);
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 20"));
        drop(first);
        let third = admit(&admission, &demo, 10).unwrap();
        drop((second, third));
        assert!(metrics.encode().contains("faceline_gateway_inflight_jobs 0"));
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 0"));
    }

    #[test]
    fn long_waits_refuse_what_the_bound_would_let_in() {
        let (admission, demo, metrics) = admission(|config| {
            config.limits.inflight_jobs = 8;
            config.limits.client_share = 1.0;
        });
        admission.answered(Duration::from_secs(5));
        assert!(metrics.encode().contains("faceline_gateway_limit_jobs 4"));
        let _in = [(); 4].map(|()| admit(&admission, &demo, 10).unwrap());
        assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::Wait);
        assert!(metrics.encode().contains(r#"faceline_gateway_promises_total{outcome="booked"} 1"#));
        admission.answered(Duration::ZERO);
        assert!(metrics.encode().contains("faceline_gateway_limit_jobs 5"));
        assert!(admit(&admission, &demo, 10).is_ok());
    }

    #[test]
    fn who_comes_as_told_goes_before_who_is_new() {
        let (admission, demo, metrics) = admission(|config| {
            config.limits.inflight_jobs = 8;
            config.limits.client_share = 1.0;
        });
        admission.answered(Duration::from_secs(5));
        let start = Instant::now();
        let fingerprint = |length| admission.fingerprint(&demo, "/", Some(length), ConnectionId::default());
        let admit_at = |now, length| admission.admit_at(now, &demo, &fingerprint(length), 10);
        let mut inside: Vec<_> = (0..4).map(|length| admit_at(start, length).unwrap()).collect();
        let fault = admit_at(start, 100).err().unwrap();
        let told = start + Duration::from_secs(fault.as_busy().unwrap().retry_after_seconds());

        inside.pop();
        // The bodies of the others have come in, or they would count no more by then.
        inside.iter_mut().for_each(Ticket::received);
        assert_eq!(cause(admit_at(told, 101)), BusyCause::Wait);
        let kept = admit_at(told, 100);
        assert!(kept.is_ok());
        assert!(metrics.encode().contains(r#"faceline_gateway_promises_total{outcome="kept"} 1"#));
    }

    #[test]
    fn a_client_has_its_share_of_the_present_limit() {
        let (admission, demo, _) = admission(|config| config.limits.inflight_jobs = 8);
        admission.answered(Duration::from_secs(5));
        let _in = [(); 2].map(|()| admit(&admission, &demo, 10).unwrap());
        assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::ClientShare);
        let mut other = demo;
        other.client = Arc::from("other");
        assert!(admit(&admission, &other, 10).is_ok());
    }

    #[test]
    fn a_body_that_grows_beyond_the_budget_is_refused() {
        let (admission, demo, _) = admission(|config| {
            config.limits.inflight_bytes = 100;
            config.limits.client_share = 1.0;
        });
        let mut ticket = admit(&admission, &demo, 60).unwrap();
        ticket.grow(30).unwrap();
        assert_eq!(cause(ticket.grow(30)), BusyCause::Bytes);
        assert_eq!(ticket.bytes(), 90);
        drop(ticket);
        assert!(admit(&admission, &demo, 100).is_ok());
    }

    #[test]
    fn a_body_counts_twice_where_its_sealed_copy_stays_in_the_process() {
        let (admission, demo, metrics) = admission(|config| {
            config.blobs.url = None;
            config.limits.inflight_bytes = 100;
        });
        assert_eq!(admission.longest_body(), 50);
        let mut ticket = admit(&admission, &demo, 30).unwrap();
        ticket.grow(10).unwrap();
        assert_eq!(ticket.bytes(), 40);
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 80"));
        assert_eq!(cause(ticket.grow(11)), BusyCause::Bytes);
        drop(ticket);
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 0"));
    }

    #[test]
    fn what_makes_no_job_takes_room_and_does_not_mind_the_workers() {
        let (admission, demo, metrics) = admission(|config| {
            config.limits.inflight_jobs = 8;
            config.limits.client_share = 1.0;
        });
        admission.answered(Duration::from_secs(5));
        let fingerprint = admission.fingerprint(&demo, "/", None, ConnectionId::default());
        let jobs = [(); 4].map(|()| admit(&admission, &demo, 10).unwrap());
        assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::Wait);
        let others = [(); 4].map(|()| admission.admit_without_job(&demo, &fingerprint, 10).unwrap());
        assert_eq!(cause(admission.admit_without_job(&demo, &fingerprint, 10)), BusyCause::InFlight);
        drop(others);
        // One that turns out to need a worker has to wait for its place like all others, and gives it back early.
        let mut late = admission.admit_without_job(&demo, &fingerprint, 10).unwrap();
        assert_eq!(cause(late.begin_job()), BusyCause::Wait);
        drop(jobs);
        late.begin_job().unwrap();
        let others = [(); 3].map(|()| admit(&admission, &demo, 10).unwrap());
        assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::Wait);
        late.end_job();
        drop((admit(&admission, &demo, 10).unwrap(), others, late));
        assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 0"));
    }

    #[test]
    fn an_outage_is_no_matter_of_how_much_is_to_be_done() {
        let (admission, demo, metrics) = admission(|_| ());
        let fingerprint = admission.fingerprint(&demo, "/", None, ConnectionId::default());
        for cause in [BusyCause::BrokerUnreachable, BusyCause::StoreUnreachable] {
            let fault = admission.refusal(&fingerprint, cause);
            let busy = fault.as_busy().unwrap();
            assert_eq!(busy.cause, cause);
            assert!((5..=8).contains(&busy.retry_after_seconds()), "{busy:?}");
        }
        assert!(metrics.encode().contains(r#"faceline_gateway_promises_total{outcome="booked"} 0"#));
        assert_eq!(
            admission.refusal(&fingerprint, BusyCause::QueueFull).as_busy().unwrap().cause,
            BusyCause::QueueFull
        );
        assert!(metrics.encode().contains(r#"faceline_gateway_promises_total{outcome="unbooked"} 0"#));
    }
}
