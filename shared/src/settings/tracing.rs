//! The section `tracing`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::client_tls::ClientTls;
use super::error::{SettingsError, all_above_zero, invalid};

/// Traces, which are exported to an OpenTelemetry collector. Off unless `endpoint` is set; see `docs/tracing.md`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct TracingSettings {
    /// Address of the collector, which must speak OTLP over gRPC, such as `http://localhost:4317`, or `https://…` for TLS. Without
    /// it no trace is recorded, and no connection is made.
    pub endpoint: Option<String>,
    /// TLS towards the collector.
    pub tls: ClientTls,
    /// Share of requests without a `traceparent` whose traces are recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Maximum number of traces per second that each gateway records for requests whose `traceparent` says *sampled*.
    /// 0 ignores that flag.
    pub max_caller_traces_per_second: u32,
    /// Attributes of this process (an OpenTelemetry resource) that are added to `service.name`, `service.version` and
    /// `service.instance.id`, or replace them, such as `"deployment.environment.name" = "production"`.
    pub resource_attributes: BTreeMap<String, String>,
    /// Time within which the collector must accept a batch of spans. Spans of a batch that it does not accept are
    /// lost.
    #[serde(with = "humantime_serde")]
    pub export_timeout: Duration,
    /// Maximum number of spans that wait for their export. Further ones are dropped.
    pub queue_spans: usize,
    /// Maximum time that a program waits at its end for the export of the last spans.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
}

impl Default for TracingSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            tls: ClientTls::default(),
            sample_ratio: 0.01,
            max_caller_traces_per_second: 10,
            resource_attributes: BTreeMap::new(),
            export_timeout: Duration::from_secs(5),
            queue_spans: 4096,
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

impl TracingSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.tls.validate("tracing.tls")?;
        // NaN is in no range.
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return invalid("tracing.sample_ratio must be between 0 and 1");
        }
        if let Some(endpoint) = &self.endpoint
            && !is_collector(endpoint)
        {
            return invalid(
                "tracing.endpoint must be http://host:port or https://host:port without user, password, path and query",
            );
        }
        all_above_zero([
            ("tracing.export_timeout", self.export_timeout.as_millis()),
            ("tracing.queue_spans", self.queue_spans as u128),
            ("tracing.shutdown_timeout", self.shutdown_timeout.as_millis()),
        ])
    }
}

/// Whether gRPC uses every part of the address.
fn is_collector(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut TracingSettings)) -> Option<String> {
        let mut settings = TracingSettings::default();
        change(&mut settings);
        settings.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for endpoint in ["http://localhost:4317", "https://collector.example/", "http://[::1]:4317"] {
            assert_eq!(refusal(|settings| settings.endpoint = Some(endpoint.into())), None, "{endpoint}");
        }
        for endpoint in [
            "",
            "localhost:4317",
            "grpc://localhost:4317",
            "http://user:secret@localhost:4317",
            "http://localhost:4318/v1/traces",
            "http://localhost:4317?token=secret",
        ] {
            let refused = refusal(|settings| settings.endpoint = Some(endpoint.into())).expect(endpoint);
            assert!(refused.starts_with("tracing.endpoint") && !refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_ratio_is_a_share_and_a_bound_is_above_zero() {
        for ratio in [0.0, 0.5, 1.0] {
            assert_eq!(refusal(|settings| settings.sample_ratio = ratio), None, "{ratio}");
        }
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(refusal(|settings| settings.sample_ratio = ratio).is_some(), "{ratio}");
        }
        assert!(refusal(|settings| settings.queue_spans = 0).is_some());
        assert!(refusal(|settings| settings.shutdown_timeout = Duration::ZERO).is_some());
    }
}
