//! Usage records of single operations: callers' identifiers, and callers that disconnect before their answer.

use std::time::Duration;

use faceline_gateway::usage::UsageRecord;

use crate::client::{form, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=b");
const KEY: (&str, &str) = ("apikey", "demo");

/// A gateway that moves its records at once.
async fn gateway(workers: std::sync::Arc<Workers>) -> Gateway {
    Gateway::with(workers, |config| config.usage.interval = Duration::from_millis(50)).await
}

/// The record of the request `id`, once it is in the object store.
pub(crate) async fn record_of(gateway: &Gateway, id: &str) -> UsageRecord {
    let found = std::sync::Mutex::new(Vec::new());
    gateway
        .until(async || {
            let mut records = Vec::new();
            let objects = gateway.stores.sealed_objects();
            for key in objects.list("usage").await.unwrap() {
                let bytes = objects.get("usage", &key).await.unwrap().unwrap();
                records.extend(rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap());
            }
            records.retain(|record| record.request.as_deref() == Some(id));
            *found.lock().unwrap() = records;
            !found.lock().unwrap().is_empty()
        })
        .await;
    let mut found = found.into_inner().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// The operations that take identifiers in their forms, with a form that each accepts.
fn forms(face: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let text = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    vec![
        ("faces", text(&[("imageType", "SELFIE"), ("image", "x")])),
        ("ages", text(&[("threshold", "18"), ("image", "x")])),
        (
            "match/images",
            text(&[
                ("referenceImage", "x"),
                ("referenceImageType", "SELFIE"),
                ("candidateImage", "y"),
                ("candidateImageType", "SELFIE"),
            ]),
        ),
        (
            "match",
            text(&[("referenceFace", face), ("candidateImage", "y"), ("candidateImageType", "SELFIE")]),
        ),
    ]
}

#[tokio::test]
async fn identifiers_of_each_form_are_recorded_whether_or_not_it_is_accepted() {
    let gateway = gateway(Workers::able()).await;
    let picture = form(&[("imageType", b"SELFIE"), ("image", b"x")]);
    let face = send(gateway.address, "POST /bioserver-app/v2/faces", &[KEY, FORM], &picture).await.body;
    for (path, parts) in forms(&face) {
        // In the second round a required part is missing.
        for (suffix, status, taken) in [("ok", 200, parts.len()), ("bad", 400, parts.len() - 1)] {
            let id = format!("{path}-{suffix}");
            let correlation = format!("case {id}");
            let mut all: Vec<(&str, &[u8])> =
                parts[..taken].iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            all.extend([("correlationId", correlation.as_bytes()), ("evidenceId", &b"evidence"[..])]);
            let headers = [KEY, FORM, ("X-Request-Id", id.as_str())];
            let line = format!("POST /bioserver-app/v2/{path}");
            let answer = send(gateway.address, &line, &headers, &form(&all)).await;
            assert_eq!(answer.status, status, "{id}: {answer:?}");
            let record = record_of(&gateway, &id).await;
            assert_eq!(record.correlation_id.as_deref(), Some(correlation.as_str()), "{id}");
            assert_eq!(record.evidence_id.as_deref(), Some("evidence"), "{id}");
        }
    }
}

#[tokio::test]
async fn identifiers_in_the_json_part_count_and_those_of_the_session_fill_in() {
    let gateway = gateway(Workers::able()).await;
    for (path, part, json) in [
        ("faces", "face", r#"{"imageType":"SELFIE","correlationId":"in json"}"#),
        ("ages", "age", r#"{"threshold":18,"correlationId":"in json"}"#),
    ] {
        let parts = [(part, json.as_bytes()), ("image", b"x")];
        let line = format!("POST /bioserver-app/v2/{path}");
        let headers = [KEY, FORM, ("X-Request-Id", path)];
        assert_eq!(send(gateway.address, &line, &headers, &form(&parts)).await.status, 200);
        assert_eq!(record_of(&gateway, path).await.correlation_id.as_deref(), Some("in json"));
    }

    let session = gateway.session(r#"{"correlationId":"of the session","evidenceId":"evidence"}"#).await;
    let line = format!("POST {SESSIONS}/{session}/faces");
    for (id, own, expected) in [("own", Some("of the face"), "of the face"), ("none", None, "of the session")]
    {
        let mut parts = vec![("imageType", &b"SELFIE"[..]), ("image", &b"x"[..])];
        parts.extend(own.map(|own| ("correlationId", own.as_bytes())));
        let headers = [KEY, FORM, ("X-Request-Id", id)];
        assert_eq!(send(gateway.address, &line, &headers, &form(&parts)).await.status, 201);
        let record = record_of(&gateway, id).await;
        assert_eq!(record.correlation_id.as_deref(), Some(expected));
        assert_eq!(record.evidence_id.as_deref(), Some("evidence"));
        assert_eq!(record.session, Some(session));
    }
    // A refused creation of a session has a record, too.
    let body = br#"{"ttlSeconds":0,"correlationId":"refused"}"#;
    let headers = [KEY, ("Content-Type", "application/json"), ("X-Request-Id", "refused")];
    assert_eq!(send(gateway.address, &format!("POST {SESSIONS}"), &headers, body).await.status, 400);
    assert_eq!(record_of(&gateway, "refused").await.correlation_id.as_deref(), Some("refused"));
}
