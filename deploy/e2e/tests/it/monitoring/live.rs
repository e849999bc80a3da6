//! The test that runs the system and injects each fault.

use std::collections::BTreeSet;

use tokio::sync::Notify;

use super::changes::Fault;
use super::load::{mixed_load, replay, video_liveness};
use super::site::Site;
use super::watch::Watch;
use super::{dashboard_expressions, metrics_of_the_runbook};
use crate::prometheus::{Prometheus, Rule};
use crate::replay::photo_video;

/// An alert's expression as a number, 1 or 0 for each series, also while it does not hold.
fn as_number(expression: &str) -> String {
    [" > ", " < ", " == "]
        .iter()
        .fold(expression.to_owned(), |text, operator| text.replace(operator, &format!("{operator}bool ")))
}

/// The expressions of all rules and dashboards that have data in a healthy system.
fn all_expressions(rules: &[Rule]) -> Vec<String> {
    let mut all: BTreeSet<String> = dashboard_expressions();
    println!("{} rules, {} expressions of dashboards", rules.len(), all.len());
    all.extend(
        rules
            .iter()
            .map(|rule| if rule.is_alert { as_number(&rule.expression) } else { rule.expression.clone() }),
    );
    // No alert fires in a healthy system, so the annotation is empty until the first fault.
    assert!(all.remove("ALERTS{alertname=~\"Faceline.*\", alertstate=\"firing\"}"));
    all.into_iter().collect()
}

async fn assert_metrics_of_the_runbook_exist(prometheus: &Prometheus, rules: &[Rule]) {
    let known = prometheus.label_values("{job=~\".+\"}", "__name__").await;
    let recorded = rules.iter().map(|rule| rule.name.clone());
    let known: BTreeSet<_> = known.into_iter().chain(recorded).collect();
    let unknown: Vec<_> = metrics_of_the_runbook().into_iter().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "the runbook names metrics that no program has: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_expression_has_data_and_changes_under_its_fault() {
    let mut site = Site::start().await;
    let url = site.gateway.url().await;
    let video = photo_video().await;
    // Counters start here. The history of the week before gets the distributions of these requests.
    mixed_load(&url).await;
    let history = site.distributions().await;
    replay(&url, &video).await;
    let prometheus = site.prometheus(&history).await;
    let rules = prometheus.rules().await;
    let watch = Watch::new(&prometheus, rules.clone());

    // Rates are the growth that Prometheus sees between scrapes, so callers continue until each expression has data.
    // They start after the values of the idle system have been read.
    let load_begins = Notify::new();
    let callers = async {
        load_begins.notified().await;
        loop {
            mixed_load(&url).await;
        }
    };
    let expressions = all_expressions(&rules);
    let looked_at = async {
        let begin = async { load_begins.notify_one() };
        let videos = async || {
            tokio::join!(replay(&url, &video), video_liveness(&url, &video));
        };
        watch.during(Fault::Load, begin, videos).await;
        prometheus.without_numbers(&expressions).await
    };
    let empty = tokio::select! {
        empty = looked_at => empty,
        () = callers => unreachable!("they do not end"),
    };
    assert!(empty.is_empty(), "{} expressions have no data:\n{}", empty.len(), empty.join("\n\n"));
    for (metric, label) in [
        ("faceline_client_requests_total", "client"),
        ("faceline_http_requests_total", "operation"),
        ("faceline_model_info", "name"),
    ] {
        assert!(!prometheus.label_values(metric, label).await.is_empty(), "{metric} has no {label}");
    }
    assert_metrics_of_the_runbook_exist(&prometheus, &rules).await;

    let holding = watch.holding().await;
    assert!(holding.is_empty(), "{holding:?} hold in a healthy system");
    super::faults::break_everything(&mut site, &prometheus, &watch, &video).await;
    watch.assert_all_seen();
}
