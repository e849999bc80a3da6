//! Bursts that the workers can do in time are queued, independently of any earlier load.

use super::{BurstReport, Scenario, THREEFOLD};

/// Eighty-three jobs a second, as two cores do.
const TWO_CORES: Scenario = Scenario { service: 0.024, ..THREEFOLD };
/// There are no callers besides the burst.
const IDLE: Scenario = Scenario { load: 0.0, until: 0.0, ..TWO_CORES };

fn assert_queued(report: &BurstReport, callers: usize) {
    assert_eq!(report.admitted, callers, "{report:?}");
    assert_eq!(report.answered.len(), callers);
}

#[test]
fn a_burst_on_an_idle_service_is_queued_again_and_again() {
    let bursts = &[(1.0, 60), (3.0, 60), (5.0, 60), (7.0, 200), (15.0, 60)];
    for scenario in [
        Scenario { bursts, ..IDLE },
        Scenario { bursts, client_share: 0.5, ..IDLE },
        // Ten jobs a second: the last one waits far longer than the target, and is still done in time.
        Scenario { bursts: &[(1.0, 60), (20.0, 60), (40.0, 60)], service: 0.2, ..IDLE },
        // Twenty workers, of which the gateway has no knowledge yet.
        Scenario { bursts: &[(1.0, 1), (2.0, 250)], workers: 20, service: 0.2, ..IDLE },
    ] {
        let report = scenario.run();
        for (burst, (_, callers)) in report.bursts.iter().zip(scenario.bursts) {
            assert_queued(burst, *callers);
        }
    }
}

#[test]
fn an_overload_is_forgotten_within_seconds() {
    for retrying in [0.0, 0.3, 1.0] {
        for idle in [3.0, 10.0] {
            let bursts: &'static [_] = if idle < 5.0 { &[(33.0, 60)] } else { &[(40.0, 60)] };
            let overload = Scenario { until: 30.0, bursts, retrying, gone: 30.0, ..TWO_CORES };
            assert_queued(&overload.run().bursts[0], 60);
            assert_queued(&Scenario { client_share: 0.5, gateways: 2, ..overload }.run().bursts[0], 60);
        }
    }
}

/// Callers who were refused keep the workers nearly busy for half a minute after the overload.
#[test]
fn among_callers_who_come_again_a_burst_does_not_wait_for_long() {
    let scenario = Scenario { until: 30.0, bursts: &[(33.0, 60)], retrying: 0.3, ..TWO_CORES };
    let burst = &scenario.run().bursts[0];
    assert!(burst.admitted >= 30 && burst.max_retry_after() <= 3, "{burst:?}");
    assert!(burst.answered.len() == 60 && burst.last_answer() <= 4.0, "{burst:?}");
}

/// The limit on what is in flight refuses most of the burst. The workers could do all of it in 0.6 s.
#[test]
fn who_is_refused_on_an_idle_service_is_told_how_long_the_work_takes() {
    for inflight_jobs in [16, 32] {
        for retrying in [0.3, 1.0] {
            let scenario = Scenario {
                until: 30.0,
                gone: 30.0,
                bursts: &[(40.0, 50)],
                retrying,
                inflight_jobs,
                ..TWO_CORES
            };
            let report = scenario.run();
            let burst = &report.bursts[0];
            assert!(burst.admitted >= inflight_jobs.min(50), "{burst:?}");
            assert!((1..=2).contains(&burst.max_retry_after()), "{burst:?}");
        }
    }
}

#[test]
fn nobody_is_told_to_wait_for_much_longer_than_the_work_takes() {
    // Three hundred callers at once on an idle service, without an estimate of its capacity or with one.
    let all: [&[_]; 2] = [&[(1.0, 300)], &[(1.0, 60), (5.0, 300)]];
    for bursts in all {
        let report = Scenario { bursts, ..IDLE }.run();
        let burst = report.bursts.last().unwrap();
        assert!(burst.admitted >= 256 && burst.max_retry_after() <= 5, "{burst:?}");
        assert!(burst.answered.len() == 300 && burst.last_answer() < 7.0, "{burst:?}");
    }
}

#[test]
fn after_a_stall_of_the_workers_a_burst_is_queued() {
    for load in [0.5, 0.9, 2.0] {
        let scenario = Scenario {
            load,
            until: 25.0,
            gone: 25.0,
            stalls: &[(10.0, 15.0), (20.0, 28.0)],
            bursts: &[(40.0, 60)],
            ..TWO_CORES
        };
        let report = scenario.run();
        assert_queued(&report.bursts[0], 60);
        assert!(report.bursts[0].last_answer() < 1.5, "{:?}", report.bursts[0]);
    }
}

#[test]
fn without_workers_nobody_is_asked_to_return_at_once() {
    let scenario = Scenario { bursts: &[(1.0, 256), (10.0, 50)], stalls: &[(0.5, 25.0)], ..IDLE };
    let burst = &scenario.run().bursts[1];
    assert!(
        burst.admitted == 0 && burst.retry_after_seconds.iter().take(50).all(|seconds| *seconds >= 5),
        "{burst:?}"
    );
    // They are refused again until the workers respond.
    assert_eq!(burst.answered.len(), 50, "{burst:?}");
}

#[test]
fn a_greedy_client_has_everything_until_others_come_and_then_its_share() {
    let alone = Scenario { client_share: 0.5, ..THREEFOLD };
    let report = alone.run();
    assert!(report.rate(0.0, 60.0) >= 0.95 * alone.capacity(), "{}", report.rate(0.0, 60.0));
    // One of twenty callers belongs to a client that sends 15 % of the capacity.
    let report = Scenario { others: 0.05, ..alone }.run();
    assert!(report.rate(0.0, 60.0) >= 0.95 * alone.capacity(), "{}", report.rate(0.0, 60.0));
    assert!(report.others.all > 500 && report.others.fraction() >= 0.9, "{:?}", report.others);
}
