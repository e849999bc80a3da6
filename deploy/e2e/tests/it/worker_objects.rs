//! A worker whose object store is unavailable.

use faceline_shared::testkit::{CutProxy, PooledRabbitMq, Redis, S3};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::client::{Caller, bytes};
use crate::failover::readyz_says;
use crate::process::{Process, ServerRun};

#[tokio::test]
async fn a_worker_without_its_object_store_is_degraded_and_judges_pictures() {
    let _run = ServerRun::begin().await;
    let (broker, redis, s3) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent(), S3::start());
    let folder = TempDir::new().unwrap();
    let proxy = CutProxy::start(s3.address()).await;
    let objects = s3.settings_at(proxy.address());
    let (broker_url, redis_url, objects_url) = (broker.url(), redis.url(), s3.url());
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("broker.url", broker_url.as_str()),
        ("store.url", redis_url.as_str()),
        ("objects.url", objects_url.as_str()),
        ("objects.endpoint", objects.endpoint.as_deref().unwrap()),
        ("objects.access_key_id", objects.access_key_id.as_deref().unwrap()),
        ("objects.secret_access_key", objects.secret_access_key.as_deref().unwrap()),
        ("inference.sessions", "1"),
    ];
    // The store is already unavailable when the worker starts.
    proxy.refuse();
    let start = |program| Process::start(program, &settings);
    let (mut gateway, mut worker) = tokio::join!(start("faceline-gateway"), start("faceline-worker"));
    readyz_says(&mut worker, 200, "ok\ndegraded: worker_objects\n", "worker_objects: ").await;
    let caller = Caller::new(&gateway.url().await);
    assert_eq!(caller.face(bytes("obama.jpg")).await.0, StatusCode::OK);

    proxy.pass();
    worker.metric_reaches("faceline_condition{condition=\"worker_objects\",state=\"met\"}", 1.0).await;
    proxy.refuse();
    readyz_says(&mut worker, 200, "ok\ndegraded: worker_objects\n", "worker_objects: ").await;
}
