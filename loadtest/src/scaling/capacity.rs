//! Resources that an installation needs for a number of faces an hour: plain arithmetic on measurements, with its
//! assumptions.

use std::fmt::Write as _;

use super::measured::{LARGE, Measurements, SMALL, ServiceTimes};
use super::scaled_object::ScaledObject;

/// Faces an hour of the table.
const LOADS: [f64; 3] = [1e3, 1e5, 1e7];
const SECONDS_PER_HOUR: f64 = 3600.0;
/// The busiest second of an hour over its mean. An assumption: callers of one region, without a campaign.
const PEAK: f64 = 2.0;
/// Share of pictures that come as a camera made them. An assumption.
pub(super) const LARGE_SHARE: f64 = 0.1;
/// Threads of a worker pod: the measured kind.
pub(super) const THREADS: usize = 2;
/// Planned utilisation of a pod: the part of its capacity that is used.
pub(super) const UTILISATION: f64 = 0.7;
/// Cores of a gateway and of a RabbitMQ node. (Redis uses one core for commands.)
const GATEWAY_CORES: f64 = 2.0;
const BROKER_CORES: f64 = 4.0;
/// A quorum queue keeps each message on three nodes, so a cluster has three.
const BROKER_NODES: f64 = 3.0;
/// Hours for which sessions are kept: the default lifetime. Assumption: each face has a session of its own.
const SESSION_HOURS: f64 = 0.5;
/// Time for which a blob is kept, in seconds: service, and a wait within `admission.target_wait`.
const BLOB_SECONDS: f64 = 1.0;

/// Jobs a second of a pod of the measured kind, on the assumed mix of pictures.
#[must_use]
pub fn pod_per_second(measured: &Measurements) -> f64 {
    THREADS as f64 / ServiceTimes::mixed(measured, LARGE_SHARE).mean()
}

/// The table in Markdown.
pub(super) fn table(measured: &Measurements, object: &ScaledObject) -> Result<String, std::fmt::Error> {
    let pod = pod_per_second(measured);
    let mut rows = vec![vec!["".to_owned(), "kind".to_owned()]];
    rows[0].extend(LOADS.map(|load| format!("{} faces an hour", grouped(load))));
    let mut row = |name: &str, kind: &str, value: &dyn Fn(f64) -> String| {
        let mut cells = vec![name.to_owned(), kind.to_owned()];
        cells.extend(LOADS.map(|load| value(load * PEAK / SECONDS_PER_HOUR)));
        rows.push(cells);
    };
    let bytes = |map: &std::collections::BTreeMap<String, u64>| {
        map[SMALL] as f64 * (1.0 - LARGE_SHARE) + map[LARGE] as f64 * LARGE_SHARE
    };
    let count = |value: f64, least: f64| format!("{}", value.ceil().max(least));
    let pods = |rate: f64| (rate / (pod * UTILISATION)).ceil().max(f64::from(object.min_pods));
    row("requests a second at the peak", "assumed", &|rate| figure(rate));
    row("worker pods of 2 cores", "calculated from measured CPU time", &|rate| count(pods(rate), 1.0));
    row("memory of the workers, GiB", "measured a pod", &|rate| {
        figure(pods(rate) * measured.worker_mib / 1024.0)
    });
    let gateway = |rate: f64| rate * measured.gateway_ms / 1e3 / (GATEWAY_CORES * UTILISATION);
    row("gateway pods of 2 cores", "calculated from measured CPU time", &|rate| count(gateway(rate), 2.0));
    let broker = |rate: f64| rate * measured.broker_ms / 1e3 / (BROKER_CORES * UTILISATION);
    row("RabbitMQ clusters of three nodes of 4 cores", "extrapolated from one node", &|rate| {
        // In a cluster three nodes write each message, so a cluster has the throughput of one node.
        count(broker(rate), 1.0)
    });
    row("RabbitMQ nodes", "extrapolated from one node", &|rate| {
        format!("{}", broker(rate).ceil().max(1.0) * BROKER_NODES)
    });
    row("cores of Redis", "extrapolated from one job at a time", &|rate| {
        figure(rate * LARGE_SHARE * measured.store_ms / 1e3)
    });
    row("memory of Redis for sessions, GiB", "measured a session", &|rate| {
        figure(rate / PEAK * SECONDS_PER_HOUR * SESSION_HOURS * measured.session_bytes / f64::from(1 << 30))
    });
    row("memory of Redis for pictures in flight, GiB", "calculated", &|rate| {
        let large = measured.picture_bytes[LARGE] as f64;
        figure(rate * LARGE_SHARE * BLOB_SECONDS * large / f64::from(1 << 30))
    });
    row("pictures into the gateways, Mbit/s", "calculated", &|rate| {
        figure(rate * bytes(&measured.picture_bytes) * 8.0 / 1e6)
    });
    row("messages to the brokers, Mbit/s", "calculated", &|rate| {
        figure(rate * bytes(&measured.message_bytes) * 8.0 / 1e6)
    });
    row("drives the cost", "", &|rate| {
        let cores = [
            ("worker cores", pods(rate) * THREADS as f64),
            ("RabbitMQ's three nodes", broker(rate).ceil().max(1.0) * BROKER_NODES * BROKER_CORES),
        ];
        let most = if cores[0].1 > cores[1].1 { cores[0].0 } else { cores[1].0 };
        most.to_owned()
    });
    let mut text = String::new();
    for (index, cells) in rows.iter().enumerate() {
        writeln!(text, "| {} |", cells.join(" | "))?;
        if index == 0 {
            writeln!(text, "|{}", " --- |".repeat(cells.len()))?;
        }
    }
    Ok(text)
}

/// Formats a number with at most two decimals, and fewer for larger numbers.
pub(super) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => grouped(value.round()),
        value if value >= 10.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value if value >= 0.01 => format!("{value:.2}"),
        _ => "below 0.01".to_owned(),
    }
}

/// A whole number with commas.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let head = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if head > 0 {
        groups.push(&digits[..head]);
    }
    groups.extend((head..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([1e3, 1e5, 1e7, 12.0].map(grouped), ["1,000", "100,000", "10,000,000", "12"]);
        assert_eq!(
            [0.001, 0.5, 2.34, 23.4, 1234.0].map(figure),
            ["below 0.01", "0.50", "2.3", "23", "1,234"]
        );
    }
}
