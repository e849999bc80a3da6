//! Tests of the simulation against queueing theory, and tests that it loses no job.

use faceline_shared::settings::Settings;

use super::measured::ServiceTimes;
use super::scaled_object::ScaledObject;
use super::simulation::{Plant, simulate};
use super::traces::{Refused, Shape, TRACES, Trace};

const YAML: &str = include_str!("../../../deploy/kubernetes/components/keda/scaledobjects.yaml");

fn steady(rate: f64, length: f64) -> Trace {
    let shape = Shape::Burst { usual: rate, high: rate, from: 0.0, to: 0.0 };
    let refused = Refused::Obey { attempts: 1 };
    Trace { name: "steady", title: "", length, shape, refused, outage: None, max_pods: None }
}

/// All requests are admitted, and each pod has one thread and prefetches nothing: one queue with `pods` servers.
fn queue(service: ServiceTimes, pods: u32) -> Plant {
    Plant {
        settings: None,
        gateways: 1,
        service,
        threads: 1,
        prefetch: 1,
        pod_start: 0.0,
        pods,
        scaling: None,
        seed: 1,
    }
}

/// The probability of waiting in M/M/c (Erlang's C formula), by the recursion of Erlang's B formula. `load` is in
/// erlangs.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let b = (1..=servers).fold(1.0, |b, server| load * b / (f64::from(server) + load * b));
    b / (1.0 - load / f64::from(servers) * (1.0 - b))
}

/// Exponentially distributed with mean 1, by quantiles.
fn exponential() -> ServiceTimes {
    ServiceTimes::of_quantiles((0..20_000).map(|step| -(1.0 - f64::from(step) / 20_000.0).ln()).collect())
}

#[test]
fn erlangs_formula_has_the_values_of_the_tables() {
    assert!((erlang_c(1, 0.8) - 0.8).abs() < 1e-12);
    // Two servers: 2 ρ² / (1 + ρ) with ρ = 0.75.
    assert!((erlang_c(2, 1.5) - 2.0 * 0.75 * 0.75 / 1.75).abs() < 1e-12);
}

#[test]
fn waits_are_those_of_many_servers_with_exponential_service() {
    for (servers, utilisation) in [(1, 0.7), (4, 0.8), (10, 0.9)] {
        let load = f64::from(servers) * utilisation;
        let report = simulate(&queue(exponential(), servers), &steady(load, 500_000.0 / load));
        let theory = erlang_c(servers, load) / (f64::from(servers) - load);
        let ratio = report.mean_wait() / theory;
        assert!((0.9..1.1).contains(&ratio), "{servers} servers: {} instead of {theory}", report.mean_wait());
    }
}

#[test]
fn waits_are_those_of_one_server_with_constant_service() {
    for utilisation in [0.5_f64, 0.8] {
        let report = simulate(&queue(ServiceTimes::constant(1.0), 1), &steady(utilisation, 300_000.0));
        // The formula of Pollaczek and Khinchine.
        let theory = utilisation / (2.0 * (1.0 - utilisation));
        let ratio = report.mean_wait() / theory;
        assert!((0.95..1.05).contains(&ratio), "{} instead of {theory}", report.mean_wait());
    }
}

fn installation(seed: u64) -> Plant {
    Plant {
        settings: Some(Settings::default()),
        gateways: 3,
        service: ServiceTimes::constant(0.04),
        threads: 2,
        prefetch: 10,
        pod_start: 20.0,
        pods: 1,
        scaling: Some(ScaledObject::read(YAML, "faceline-worker").unwrap()),
        seed,
    }
}

#[test]
fn every_request_is_answered_or_given_up_and_the_pods_come_and_go() {
    let burst = TRACES.iter().find(|trace| trace.name == "burst").unwrap();
    let shape = Shape::Burst { usual: 10.0, high: 200.0, from: 30.0, to: 90.0 };
    for trace in [
        Trace { shape, length: 120.0, ..*burst },
        Trace { shape, length: 120.0, outage: Some((50.0, 60.0)), ..*burst },
    ] {
        let report = simulate(&installation(3), &trace);
        assert_eq!(report.answered + report.gave_up, report.arrived);
        assert_eq!(report.unanswered, 0);
        assert_eq!(report.attempts, report.answered + report.refusals);
        assert!(report.refusals > 0 && report.peak_pods() >= 3, "{report:?}");
        assert_eq!(report.samples.last().unwrap().pods, 1);
    }
}

#[test]
fn a_seed_determines_the_run() {
    let trace = steady(60.0, 30.0);
    let [one, same, other] = [1, 1, 2].map(|seed| simulate(&installation(seed), &trace));
    assert_eq!((one.arrived, one.mean_wait()), (same.arrived, same.mean_wait()));
    assert_ne!((one.arrived, one.mean_wait()), (other.arrived, other.mean_wait()));
}

#[test]
fn callers_who_obey_retry_after_send_fewer_requests() {
    let storm = |name| {
        let trace = TRACES.iter().find(|trace| trace.name == name).unwrap();
        let shape = Shape::Burst { usual: 20.0, high: 300.0, from: 10.0, to: 20.0 };
        let report = simulate(&installation(5), &Trace { shape, length: 30.0, ..*trace });
        report.attempts as f64 / report.arrived as f64
    };
    let [obeying, insisting] = ["storm-obeying", "storm-insisting"].map(storm);
    assert!(obeying * 2.0 < insisting, "{obeying} and {insisting} attempts a request");
}
