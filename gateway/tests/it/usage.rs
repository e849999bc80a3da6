//! Usage records: their content, and that each answer has one.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faceline_gateway::usage::UsageRecord;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::outbox::Lane;
use uuid::Uuid;

use crate::client::{Answer, form, get, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

const KEY: (&str, &str) = ("apikey", "demo");
const CAPABILITIES: &str = "GET /bioserver-app/v2/capabilities";

/// Waits until the object store has `count` records, and returns them sorted like an export.
async fn moved(gateway: &Gateway, count: usize) -> Vec<UsageRecord> {
    let objects = gateway.stores.sealed_objects();
    let mut records = Vec::new();
    gateway
        .until(async || {
            records.clear();
            for key in objects.list("usage").await.unwrap() {
                let bytes = objects.get("usage", &key).await.unwrap().unwrap();
                records.extend(rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap());
            }
            records.len() >= count
        })
        .await;
    assert_eq!(records.len(), count, "{records:#?}");
    records.sort_by_key(|record| (record.time, record.id));
    records
}

async fn waiting(gateway: &Gateway) -> u64 {
    gateway.stores.store.outbox.depth(Lane::Usage).await.unwrap()
}

async fn asked(gateway: &Gateway, line: &str, id: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(gateway.address, line, &[&[KEY, ("X-Request-Id", id)], headers].concat(), body).await
}

fn counted(gateway: &Gateway, line: &str) {
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

#[tokio::test]
async fn a_record_says_who_was_given_what() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.usage.interval = Duration::from_millis(50)).await;
    let json = ("Content-Type", "application/json");
    let body = br#"{"correlationId":"case 17","evidenceId":"evidence"}"#;
    let reference = ("Reference-Number", "job, \"17\"");
    let created = asked(&gateway, &format!("POST {SESSIONS}"), "create", &[json, reference], body).await;
    assert_eq!(created.status, 201);
    let session: Uuid = created.header("location").unwrap().rsplit_once('/').unwrap().1.parse().unwrap();

    let faces = format!("{SESSIONS}/{session}/faces");
    let mixed = ("Content-Type", "multipart/form-data; boundary=b");
    let picture = form(&[("imageType", b"SELFIE"), ("image", b"x")]);
    assert_eq!(asked(&gateway, &format!("POST {faces}"), "face", &[mixed], &picture).await.status, 201);
    assert_eq!(asked(&gateway, &format!("POST {faces}"), "bad", &[mixed], &form(&[])).await.status, 400);
    let other = Uuid::new_v4();
    assert_eq!(asked(&gateway, &format!("GET {SESSIONS}/{other}"), "gone", &[], b"").await.status, 404);
    // These requests are not billed.
    get(gateway.address, "/livez").await;
    get(gateway.address, "/bioserver-app/v2/nothing").await;
    send(gateway.address, CAPABILITIES, &[("apikey", "wrong")], b"").await;

    let records = moved(&gateway, 4).await;
    let job = gateway.workers.jobs.lock().unwrap()[0].id;
    let correlation = Some("case 17".to_owned());
    let shown: Vec<_> = records
        .iter()
        .map(|record| {
            assert_eq!((&*record.client, &*record.family), ("demo", "biometric_services"));
            (record.request.as_deref().unwrap(), &*record.operation, record.status, &*record.outcome)
        })
        .collect();
    let expected = [
        ("create", "create_session", 201, "ok"),
        ("face", "create_session_face", 201, "ok"),
        ("bad", "create_session_face", 400, "invalid"),
        ("gone", "get_session", 404, "not_found"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(records.iter().map(|record| record.session).collect::<Vec<_>>()[..2], [Some(session); 2]);
    assert_eq!(records[3].session, Some(other));
    assert_eq!((&records[0].correlation_id, records[0].job), (&correlation, None));
    assert_eq!((&records[1].correlation_id, records[1].job), (&correlation, Some(job)));
    assert_eq!(records[1].evidence_id.as_deref(), Some("evidence"));
    assert_eq!(records[0].reference_number.as_deref(), Some("job, \"17\""));
    assert!(!records[0].key.is_empty());
    gateway.until(async || waiting(&gateway).await == 0).await;
    // The objects are encrypted.
    for object in gateway.stores.objects.kept.lock().unwrap().values() {
        assert!(memchr::memmem::find(object, b"case 17").is_none());
    }
}

#[tokio::test]
async fn an_answer_is_recorded_before_it_is_sent_and_a_refusal_is_not() {
    // With the default interval no record is moved during the test.
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 3;
    })
    .await;
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let before = waiting(&gateway).await;
        let answer = asked(&gateway, CAPABILITIES, "x", &[], b"").await;
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        assert_eq!(waiting(&gateway).await, before + u64::from(answer.status == 200));
        seen.insert(answer.status);
    }
}

#[tokio::test]
async fn what_the_store_does_not_take_is_answered_kept_and_counted() {
    let stores = Stores::new();
    let away = stores.broken(|| StoreError::Unreachable("away".into()));
    let gateway = Gateway::over(away, Workers::able(), |_| ()).await;
    for number in 0..3 {
        let answer = asked(&gateway, CAPABILITIES, &number.to_string(), &[], b"").await;
        assert_ne!(answer.status, 503);
    }
    counted(&gateway, "faceline_usage_records_total{outcome=\"deferred\"} 3");
    counted(&gateway, "faceline_usage_records_total{outcome=\"lost\"} 0");
    counted(&gateway, "faceline_usage_records_total{outcome=\"written\"} 0");
    counted(&gateway, "faceline_usage_deferred_records 3");
    // Records that are not written before the shutdown stay on the disk.
    let folder = gateway.config.data_dir.join("usage-deferred");
    gateway.shutdown.cancel();
    gateway.until(async || gateway.mover_has_ended()).await;
    counted(&gateway, "faceline_usage_records_total{outcome=\"lost\"} 0");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

#[tokio::test]
async fn records_wait_for_the_object_store_and_old_days_go() {
    let stores = Stores::new();
    let objects = stores.sealed_objects();
    for day in ["2020-01-01", "not-a-day"] {
        objects.put("usage", &format!("usage/{day}/batch"), b"x").await.unwrap();
    }
    stores.objects.away.store(true, Ordering::Relaxed);
    let gateway = Gateway::over(stores.clone(), Workers::able(), |config| {
        config.usage.interval = Duration::from_millis(20);
    })
    .await;
    asked(&gateway, CAPABILITIES, "x", &[], b"").await;
    let failed = "faceline_usage_batches_total{outcome=\"failed\"} ";
    gateway.until(async || gateway.metrics.encode().contains(failed)).await;
    assert_eq!(waiting(&gateway).await, 1);

    stores.objects.away.store(false, Ordering::Relaxed);
    let next = Gateway::over(stores.clone(), Workers::able(), |_| ()).await;
    next.until(async || objects.folders("usage").await.unwrap() == ["not-a-day"]).await;
}
