//! Reads the state of the service from a gateway's metrics while load runs.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The queue of jobs whose callers wait.
const QUEUE: &str = "faceline.jobs.interactive";
/// A reading that takes longer is left out.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the service at a time, as one gateway reports it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServiceState {
    /// Seconds from the beginning of the load.
    pub at: f64,
    /// Jobs that wait at the broker.
    pub queued: f64,
    /// Workers that consume the queue.
    pub workers: f64,
    /// Jobs that the gateway has in flight.
    pub in_flight: f64,
    /// The gateway's limit on them.
    pub limit: f64,
    /// Refusals by the gateway since its start, by cause.
    pub refusals: BTreeMap<String, f64>,
}

/// Reads `/metrics` of the operators' listener at `url` (without a path) every `period`, until the future is dropped,
/// and calls `seen` with each state.
pub async fn watch(url: &str, period: Duration, started: Instant, mut seen: impl FnMut(ServiceState)) {
    let Ok(client) = Client::builder().timeout(READ_TIMEOUT).build() else { return };
    let url = format!("{}/metrics", url.trim_end_matches('/'));
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Ok(response) = client.get(&url).send().await else { continue };
        if let Ok(text) = response.text().await {
            seen(parse(&text, started.elapsed().as_secs_f64()));
        }
    }
}

/// The state in the text of `/metrics` (Prometheus' text format).
fn parse(text: &str, at: f64) -> ServiceState {
    let mut state = ServiceState { at, ..ServiceState::default() };
    let queue = format!("queue=\"{QUEUE}\"");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        match name {
            "faceline_queue_ready" if labels.contains(&queue) => state.queued = value,
            "faceline_queue_consumers" if labels.contains(&queue) => state.workers = value,
            "faceline_gateway_inflight_jobs" => state.in_flight = value,
            "faceline_gateway_limit_jobs" => state.limit = value,
            "faceline_http_refusals_total" => {
                let cause = labels.split("cause=\"").nth(1).and_then(|rest| rest.split('"').next());
                *state.refusals.entry(cause.unwrap_or_default().to_owned()).or_default() += value;
            }
            _ => (),
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_from_the_metrics() {
        let text = "# TYPE faceline_queue_ready gauge\n\
                    faceline_queue_ready{queue=\"faceline.jobs.interactive\"} 7\n\
                    faceline_queue_ready{queue=\"faceline.dead\"} 3\n\
                    faceline_queue_consumers{queue=\"faceline.jobs.interactive\"} 2\n\
                    faceline_gateway_inflight_jobs 9\nfaceline_gateway_limit_jobs 64\n\
                    faceline_http_refusals_total{cause=\"wait\",operation=\"create_face\"} 4\n\
                    faceline_http_refusals_total{cause=\"wait\",operation=\"match\"} 5\n";
        let state = parse(text, 1.5);
        assert_eq!((state.queued, state.workers, state.in_flight, state.limit), (7.0, 2.0, 9.0, 64.0));
        assert_eq!(state.refusals, BTreeMap::from([("wait".to_owned(), 9.0)]));
    }
}
