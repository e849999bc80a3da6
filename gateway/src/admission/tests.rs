//! Admission as a whole: bounds, the AIMD limit, retry reservations and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;

use super::{Admission, ConnectionId, InFlightPermit, JobClass};
use crate::accounts::{Caller, demo_caller};
use crate::fault::{BusyCause, Fault};

fn admission(change: impl FnOnce(&mut Settings)) -> (Arc<Admission>, Caller, Metrics) {
    let mut config = Settings::default();
    config.blobs.url = Some("redis://127.0.0.1".parse().unwrap());
    change(&mut config);
    let metrics = Metrics::new();
    (Admission::new(&config, &metrics), demo_caller(), metrics)
}

fn admit(admission: &Arc<Admission>, caller: &Caller, bytes: usize) -> Result<InFlightPermit, Fault> {
    admission.admit(
        caller,
        &admission.fingerprint(caller, "/", Some(bytes as u64), ConnectionId::default()),
        bytes,
    )
}

const SERVICE: Duration = Duration::from_millis(10);

/// Makes the limit fall to four jobs: many are refused, and a job has waited for a long time.
fn overload(admission: &Admission) {
    let fingerprint = admission.fingerprint(&demo_caller(), "/else", None, ConnectionId::default());
    let _ = admission.refusal(&fingerprint, BusyCause::QueueFull);
    admission.record_answer(JobClass::Pictures, Duration::from_secs(5), SERVICE);
}

fn cause(result: Result<impl Sized, Fault>) -> BusyCause {
    let fault = result.err().unwrap();
    let busy = fault.as_busy().unwrap();
    assert!((1..=30).contains(&busy.retry_after_seconds()), "{busy:?}");
    busy.cause
}

#[test]
fn a_dropped_permit_frees_its_capacity() {
    let (admission, demo, metrics) = admission(|config| {
        config.limits.inflight_jobs = 2;
        config.limits.client_share = 1.0;
    });
    let first = admit(&admission, &demo, 10).unwrap();
    let mut second = admit(&admission, &demo, 10).unwrap();
    second.body_complete();
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
    overload(&admission);
    assert!(metrics.encode().contains("faceline_gateway_limit_jobs 4"));
    let _in = [(); 4].map(|()| admit(&admission, &demo, 10).unwrap());
    assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::Wait);
    assert!(metrics.encode().contains(r#"faceline_gateway_retry_reservations_total{outcome="reserved"} 2"#));
    admission.record_answer(JobClass::Pictures, Duration::ZERO, SERVICE);
    assert!(metrics.encode().contains("faceline_gateway_limit_jobs 5"));
    assert!(admit(&admission, &demo, 10).is_ok());
}

#[test]
fn a_retry_with_a_reservation_goes_before_a_new_request() {
    let (admission, demo, metrics) = admission(|config| {
        config.limits.inflight_jobs = 8;
        config.limits.client_share = 1.0;
    });
    overload(&admission);
    let start = Instant::now();
    let fingerprint = |length| admission.fingerprint(&demo, "/", Some(length), ConnectionId::default());
    let admit_at = |now, length| admission.admit_at(now, &demo, &fingerprint(length), 10);
    let mut inside: Vec<_> = (0..4).map(|length| admit_at(start, length).unwrap()).collect();
    let fault = admit_at(start, 100).err().unwrap();
    let reserved_time = start + Duration::from_secs(fault.as_busy().unwrap().retry_after_seconds());

    inside.pop();
    // The bodies of the others are complete. Otherwise these jobs would no longer count at the reserved time.
    inside.iter_mut().for_each(InFlightPermit::body_complete);
    assert_eq!(cause(admit_at(reserved_time, 101)), BusyCause::Wait);
    let retry = admit_at(reserved_time, 100);
    assert!(retry.is_ok());
    assert!(metrics.encode().contains(r#"faceline_gateway_retry_reservations_total{outcome="used"} 1"#));
}

#[test]
fn a_client_has_its_share_of_the_present_limit() {
    let (admission, demo, _) = admission(|config| config.limits.inflight_jobs = 8);
    overload(&admission);
    let mut other = demo.clone();
    other.client = Arc::from("other");
    drop(admit(&admission, &other, 10).unwrap());
    let _in = [(); 2].map(|()| admit(&admission, &demo, 10).unwrap());
    assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::ClientShare);
    assert!(admit(&admission, &other, 10).is_ok());
}

#[test]
fn a_body_that_grows_beyond_the_budget_is_refused() {
    let (admission, demo, _) = admission(|config| {
        config.limits.inflight_bytes = 100;
        config.limits.client_share = 1.0;
    });
    let mut permit = admit(&admission, &demo, 60).unwrap();
    permit.grow(30).unwrap();
    assert_eq!(cause(permit.grow(30)), BusyCause::Bytes);
    assert_eq!(permit.bytes(), 90);
    drop(permit);
    assert!(admit(&admission, &demo, 100).is_ok());
}

#[test]
fn a_body_counts_twice_where_its_sealed_copy_stays_in_the_process() {
    let (admission, demo, metrics) = admission(|config| {
        config.blobs.url = None;
        config.limits.inflight_bytes = 100;
    });
    assert_eq!(admission.max_body_bytes(), 50);
    let mut permit = admit(&admission, &demo, 30).unwrap();
    permit.grow(10).unwrap();
    assert_eq!(permit.bytes(), 40);
    assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 80"));
    assert_eq!(cause(permit.grow(11)), BusyCause::Bytes);
    drop(permit);
    assert!(metrics.encode().contains("faceline_gateway_inflight_bytes 0"));
}

#[test]
fn requests_without_jobs_take_capacity_and_need_no_workers() {
    let (admission, demo, metrics) = admission(|config| {
        config.limits.inflight_jobs = 8;
        config.limits.client_share = 1.0;
    });
    overload(&admission);
    let fingerprint = admission.fingerprint(&demo, "/", None, ConnectionId::default());
    let jobs = [(); 4].map(|()| admit(&admission, &demo, 10).unwrap());
    assert_eq!(cause(admit(&admission, &demo, 10)), BusyCause::Wait);
    let others = [(); 4].map(|()| admission.admit_without_job(&demo, &fingerprint, 10).unwrap());
    assert_eq!(cause(admission.admit_without_job(&demo, &fingerprint, 10)), BusyCause::InFlight);
    drop(others);
    // A request that turns out to need a worker is subject to the limit like all others, and returns its slot early.
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
    for cause in [BusyCause::BrokerUnreachable, BusyCause::BrokerBlocked, BusyCause::StoreUnreachable] {
        let fault = admission.refusal(&fingerprint, cause);
        let busy = fault.as_busy().unwrap();
        assert_eq!(busy.cause, cause);
        assert!((5..=8).contains(&busy.retry_after_seconds()), "{busy:?}");
    }
    assert!(metrics.encode().contains(r#"faceline_gateway_retry_reservations_total{outcome="reserved"} 0"#));
    assert_eq!(
        admission.refusal(&fingerprint, BusyCause::QueueFull).as_busy().unwrap().cause,
        BusyCause::QueueFull
    );
    assert!(metrics.encode().contains(r#"faceline_gateway_retry_reservations_total{outcome="full"} 0"#));
}
