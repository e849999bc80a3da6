//! At several times the capacity, goodput stays high, waits are bounded, and callers who retry at the `Retry-After`
//! time are admitted.

use super::{Report, Scenario, THREEFOLD};

/// Asserts a goodput of at least 95 %, and waits near the target once the first burst is over.
fn assert_steady(scenario: Scenario) -> Report {
    let report = scenario.run();
    let goodput = report.rate(0.0, scenario.until) / scenario.capacity();
    assert!(goodput >= 0.95, "goodput {goodput}");
    let [median, late] = [0.5, 0.95].map(|quantile| report.wait(quantile, 10.0, scenario.until));
    assert!((0.25..=0.55).contains(&median), "median of waits {median}");
    assert!(late <= 1.0, "95 % wait at most {late}");
    report
}

#[test]
fn goodput_stays_at_three_times_the_capacity() {
    assert_steady(THREEFOLD);
}

#[test]
fn two_gateways_share_a_queue() {
    assert_steady(Scenario { gateways: 2, ..THREEFOLD });
    assert_steady(Scenario { gateways: 2, balanced: true, ..THREEFOLD });
}

/// The callers of a closed loop that fits the bound on jobs wait, and none of them is refused.
#[test]
fn who_waits_for_each_answer_is_not_refused() {
    for regulars in [60, 250] {
        let scenario = Scenario { regulars, ..THREEFOLD };
        let report = scenario.run();
        assert_eq!(report.retries.all, 0);
        assert!(report.rate(1.0, 60.0) >= 0.95 * scenario.capacity());
    }
}

#[test]
fn slow_links_take_no_throughput() {
    let scenario = Scenario { body: 1.0, inflight_jobs: 1000, ..THREEFOLD };
    let report = scenario.run();
    assert!(report.rate(0.0, 60.0) >= 0.9 * scenario.capacity());
}

#[test]
fn a_slow_worker_is_not_buried() {
    // Seven jobs per second, and a bound of more than 30 s of them.
    let scenario = Scenario { workers: 1, service: 0.14, ..THREEFOLD };
    let report = scenario.run();
    assert!(report.rate(0.0, 60.0) >= 0.9 * scenario.capacity());
    assert!(report.wait(0.95, 30.0, 60.0) < 1.5, "{}", report.wait(0.95, 30.0, 60.0));
}

#[test]
fn a_fleet_that_grows_is_used_and_one_that_shrinks_is_not_buried() {
    let report = Scenario { later: Some((30.0, 6)), ..THREEFOLD }.run();
    let grown = 6.0 / THREEFOLD.service;
    assert!(report.rate(33.0, 60.0) >= 0.9 * grown, "{} of {grown}", report.rate(33.0, 60.0));

    let report = Scenario { workers: 6, load: 1.0, later: Some((30.0, 2)), ..THREEFOLD }.run();
    assert!(report.rate(35.0, 60.0) >= 0.9 * THREEFOLD.capacity());
    assert!(report.wait(0.95, 35.0, 60.0) < 1.0, "{}", report.wait(0.95, 35.0, 60.0));
}

#[test]
fn a_retry_with_a_reservation_is_admitted() {
    for scenario in [
        THREEFOLD,
        Scenario { gateways: 2, ..THREEFOLD },
        Scenario { workers: 20, ..THREEFOLD },
        Scenario { workers: 1, service: 0.08, ..THREEFOLD },
        // Some pictures have equal lengths.
        Scenario { lengths: 2000, ..THREEFOLD },
    ] {
        let report = scenario.run();
        println!("{:?}", report.reserved);
        assert!(report.reserved.all > 500 && report.reserved.fraction() >= 0.9, "{:?}", report.reserved);
    }
}

/// With new callers at twice the capacity, the capacity suffices for the retries of about a third of the refused
/// callers. In the closed loop all of them can be served.
#[test]
fn nine_of_ten_who_retry_on_time_are_served_where_that_can_be() {
    for scenario in [
        Scenario { retrying: 0.3, ..THREEFOLD },
        Scenario { retrying: 0.1, ..THREEFOLD },
        Scenario { retrying: 0.1, gateways: 2, ..THREEFOLD },
        // Few lengths, so new callers take reservations of callers who do not retry.
        Scenario { retrying: 0.3, lengths: 1200, ..THREEFOLD },
        Scenario { regulars: 400, ..THREEFOLD },
        Scenario { regulars: 1000, ..THREEFOLD },
        // All pictures have the same length.
        Scenario { regulars: 500, lengths: 1, connected: true, ..THREEFOLD },
    ] {
        let report = scenario.run();
        assert!(report.retries.all > 500 && report.retries.fraction() >= 0.9, "{:?}", report.retries);
    }
}

/// All refused callers retry, which is 180 s of work in 60 s. Within `max_retry_after` (30 s) after that, 90 s of it
/// can be done. So at most half of the retries can be admitted; 90 % of them only with a long enough `max_retry_after`.
#[test]
fn where_all_come_again_the_last_second_that_they_may_be_told_decides() {
    let report = THREEFOLD.run();
    assert!((0.42..=0.5).contains(&report.retries.fraction()), "{:?}", report.retries);
    let report = Scenario { max_retry_after: 130, ..THREEFOLD }.run();
    assert!(report.retries.fraction() >= 0.9, "{:?}", report.retries);
}
