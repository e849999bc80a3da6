//! Rates and quotas in answers and in metrics.

use std::fs;

use tempfile::TempDir;

use crate::client::{Answer, get, post, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const FACES: &str = "/bioserver-app/v2/faces";
const CAPABILITIES: &str = "/bioserver-app/v2/capabilities";
const KEY: (&str, &str) = ("apikey", "secret");

/// A gateway with one key, whose secret is `secret`.
async fn gateway(key: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("accounts.toml");
    // SHA-256 of "secret".
    let text = format!(
        r#"
        [[clients]]
        name = "bank"
        [[clients.keys]]
        id = "bank-1"
        secret = {{ api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }}
        {key}
        "#
    );
    fs::write(&file, text).unwrap();
    Gateway::with(Workers::able(), |config| config.accounts.file = Some(file)).await
}

async fn read(gateway: &Gateway, path: &str) -> Answer {
    send(gateway.address, &format!("GET {path}"), &[KEY], b"").await
}

/// `RateLimit-Limit`, `-Remaining` and `-Reset`.
fn limit_headers(answer: &Answer) -> Option<[u64; 3]> {
    let value = |name| answer.header(name).map(|text| text.parse().unwrap());
    let values = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(value);
    assert_eq!(values.iter().flatten().count() % 3, 0, "{answer:?}");
    Some([values[0]?, values[1]?, values[2]?])
}

#[tokio::test]
async fn every_counted_answer_has_the_limit_headers() {
    let gateway =
        gateway("permissions = ['capabilities:read', 'sessions:read']\nrequests_per_month = 3").await;
    let good = read(&gateway, CAPABILITIES).await;
    assert_eq!(good.status, 200);
    let [limit, remaining, reset] = limit_headers(&good).unwrap();
    assert_eq!((limit, remaining), (3, 2));
    assert!((1..=31 * 86_400).contains(&reset), "{reset}");
    let policy = good.header("ratelimit-policy").unwrap();
    assert!(policy.starts_with("1000;w=1;burst=1000, 3;w="), "{policy}");

    let forbidden = read(&gateway, &format!("{SESSIONS}/{}/faces", uuid::Uuid::nil())).await;
    assert_eq!((forbidden.status, limit_headers(&forbidden)), (403, None), "it is not counted");
    let stranger = get(gateway.address, CAPABILITIES).await;
    assert_eq!((stranger.status, limit_headers(&stranger)), (401, None));

    let missing = read(&gateway, &format!("{SESSIONS}/{}", uuid::Uuid::nil())).await;
    assert_eq!((missing.status, limit_headers(&missing).unwrap()[1]), (404, 1));
    assert_eq!(limit_headers(&read(&gateway, CAPABILITIES).await).unwrap()[1], 0);

    let refused = read(&gateway, CAPABILITIES).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["message"], "the request quota of this key is used up");
    let [_, remaining, reset] = limit_headers(&refused).unwrap();
    assert_eq!(remaining, 0);
    let retry: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((reset..=reset + 1).contains(&retry), "{retry} is not the end of the month, {reset}");
    let metrics = gateway.metrics.encode();
    for line in [
        r#"faceline_gateway_rate_checks_total{limiter="embedded",outcome="allowed"} 3"#,
        r#"faceline_gateway_rate_checks_total{limiter="embedded",outcome="quota"} 1"#,
        r#"faceline_gateway_rate_limiter{limiter="embedded"} 1"#,
        r#"faceline_http_refusals_total{cause="client_quota",operation="capabilities"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_rate_is_told_with_each_answer_and_refusals_take_no_room() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 2;
    })
    .await;
    let good = [("imageType", "SELFIE"), ("image", "x")];
    let answers = [
        post(gateway.address, FACES, &good).await,
        // The request counts before its body is read.
        post(gateway.address, FACES, &[("imageType", "SELFIE")]).await,
        post(gateway.address, FACES, &good).await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 400, 429]);
    let headers = answers.each_ref().map(|answer| limit_headers(answer).unwrap());
    assert_eq!(headers.map(|[limit, remaining, _]| (limit, remaining)), [(2, 1), (2, 0), (2, 0)]);
    assert_eq!(answers[2].header("ratelimit-policy"), Some("1;w=1;burst=2"));
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), 1);
    assert!(gateway.metrics.encode().contains("faceline_gateway_inflight_jobs 0"));
}
