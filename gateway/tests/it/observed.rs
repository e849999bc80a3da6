//! Metrics and log lines of requests.

use insta::assert_snapshot;

use crate::client::{exchange, post, request};
use crate::gateway::Gateway;
use crate::log;
use crate::workers::Workers;

#[tokio::test]
async fn request_id_trace_id_and_error_id_lead_to_one_log_line() {
    let lines = log::lines();
    let gateway = Gateway::start(Workers::able()).await;
    let headers = [
        ("apikey", "demo"),
        ("X-Request-Id", "job-17"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let answer = exchange(gateway.address, &request("POST /bioserver-app/v2/faces", &headers, b"")).await;
    assert_eq!(answer.header("x-request-id"), Some("job-17"));

    let line = lines.find(|line| line["error_id"] == answer.json()["id"]).unwrap();
    assert_eq!(line["cause"], "invalid");
    assert_eq!(line["span"]["request_id"], "job-17");
    assert_eq!(line["span"]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span"]["client"], "demo");
    assert_eq!(line["span"]["operation"], "create_face");
}

#[tokio::test]
async fn the_metrics_have_these_names() {
    let gateway = Gateway::start(Workers::able()).await;
    post(gateway.address, "/bioserver-app/v2/faces", &[("image", "x")]).await;
    let text = gateway.metrics.encode();
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_snapshot!(types.join("\n"), @r"
    faceline_accounts_current gauge
    faceline_callback_seconds histogram
    faceline_callbacks_dead_total counter
    faceline_certificate_expiry_timestamp_seconds gauge
    faceline_client_bound_refusals_total counter
    faceline_client_bound_used_ratio gauge
    faceline_client_request_seconds histogram
    faceline_client_requests_total counter
    faceline_gateway_capacity_jobs_per_second gauge
    faceline_gateway_capacity_videos_per_second gauge
    faceline_gateway_inflight_bytes gauge
    faceline_gateway_inflight_jobs gauge
    faceline_gateway_limit_jobs gauge
    faceline_gateway_limit_videos gauge
    faceline_gateway_rate_checks_total counter
    faceline_gateway_rate_gateways gauge
    faceline_gateway_rate_limiter gauge
    faceline_gateway_retry_reservations_total counter
    faceline_http_connections gauge
    faceline_http_connections_aged_total counter
    faceline_http_connections_shed_total counter
    faceline_http_proxy_headers_refused_total counter
    faceline_http_refusals_total counter
    faceline_http_request_seconds histogram
    faceline_http_requests_total counter
    faceline_outbox_rows gauge
    faceline_outbox_rows_total counter
    faceline_replay_keys_current gauge
    faceline_replay_results_dropped_total counter
    faceline_replay_seconds histogram
    faceline_replay_upload_bytes_total counter
    faceline_replay_uploads_in_progress gauge
    faceline_sessions_created_total counter
    faceline_signing_keys_current gauge
    faceline_url_fetch_seconds histogram
    faceline_usage_deferred_bytes gauge
    faceline_usage_deferred_records gauge
    faceline_usage_records_total counter
    faceline_usage_rows gauge
    ");
}
