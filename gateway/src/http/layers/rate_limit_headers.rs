//! The headers `RateLimit-*`: the rate and quota that the caller's key has left
//! (draft-ietf-httpapi-ratelimit-headers-07).

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use faceline_gateway_store::rate::{Terms, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request::record::RequestRecord;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds the headers to the answer, where the request counted against a rate.
pub(in crate::http) async fn rate_limit_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(record) = RequestRecord::current()
        && let Some((terms, verdict)) = record.facts().rate_check
    {
        write(response.headers_mut(), &terms, &verdict);
    }
    response
}

fn write(headers: &mut HeaderMap, terms: &Terms, verdict: &Verdict) {
    let status = verdict.tightest();
    headers.insert(LIMIT, status.limit.into());
    headers.insert(REMAINING, status.remaining.into());
    headers.insert(RESET, seconds(status.reset).into());
    if let Ok(policy) = HeaderValue::from_str(&policy(terms)) {
        headers.insert(POLICY, policy);
    }
}

/// The rate, and the quota where there is one, each with its window in seconds.
fn policy(Terms { rate, quota }: &Terms) -> String {
    let rate = format!("{};w=1;burst={}", rate.requests_per_second, rate.burst);
    match quota {
        Some(quota) => format!("{rate}, {};w={}", quota.requests, quota.span.length().as_secs()),
        None => rate,
    }
}

/// Whole seconds, rounded up, so no caller retries too early.
fn seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use faceline_gateway_store::rate::{LimitStatus, Quota, QuotaSpan, Rate};

    use super::*;

    #[test]
    fn a_caller_reads_what_it_meets_first_and_all_that_there_is() {
        let quota = Quota { requests: 5000, span: QuotaSpan::Day };
        let terms = Terms { rate: Rate { requests_per_second: 10, burst: 20 }, quota: Some(quota) };
        let rate = LimitStatus { limit: 20, remaining: 7, reset: Duration::from_millis(1300) };
        let left = |remaining| LimitStatus { limit: 5000, remaining, reset: Duration::from_secs(3600) };
        for (quota, expected) in [(left(8), ["20", "7", "2"]), (left(6), ["5000", "6", "3600"])] {
            let mut headers = HeaderMap::new();
            write(&mut headers, &terms, &Verdict { refusal: None, rate, quota: Some(quota) });
            assert_eq!(
                [LIMIT, REMAINING, RESET].map(|name| headers[name].to_str().unwrap().to_owned()),
                expected
            );
            assert_eq!(headers[POLICY], "10;w=1;burst=20, 5000;w=86400");
        }
        assert_eq!(policy(&Terms { quota: None, ..terms }), "10;w=1;burst=20");
    }
}
