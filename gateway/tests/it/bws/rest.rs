//! Requests and answers of BWS over REST.

use base64_simd::STANDARD;
use faceline_gateway::fault::{BusyCause, Fault};
use faceline_gateway::jobs::SubmitError;
use faceline_shared::job::Task;
use faceline_shared::job::examination::{Check, Direction, Examined, Motion};
use faceline_shared::job::{JobFailure, Subject};
use faceline_shared::score::Far;
use serde_json::json;
use uuid::Uuid;

use super::{DETECT, VERIFY, authorization, counted, finding, json_of, post, refused, reject};
use crate::client::{exchange, request, send};
use crate::gateway::Gateway;
use crate::workers::Workers;

const PICTURE: &str = r#"{"rotated":0,"faces":[{"leftEye":{"x":160,"y":121.25},"rightEye":{"x":100.5,"y":120},"textureLivenessScore":0.75,"motionLivenessScore":0,"movementDirection":0}],"qualityScore":0.875,"qualityAssessments":[],"frameNumber":0}"#;

#[tokio::test]
async fn a_living_person_is_live_and_every_value_is_written() {
    let gateway = Gateway::start(Workers::able()).await;
    let answer = post(&gateway, DETECT, &json_of(&["one"])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = format!(
        r#"{{"status":"SUCCEEDED","errors":[],"imageProperties":[{PICTURE}],"live":true,"livenessScore":0.75}}"#
    );
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let job = gateway.workers.jobs.lock().unwrap()[0].id;
    assert_eq!(answer.header("jobid").unwrap().parse::<Uuid>().unwrap(), job);
    assert_eq!(answer.header("bws-version"), Some(env!("CARGO_PKG_VERSION")));
    assert!(answer.header("response-time-ms").unwrap().parse::<u64>().is_ok());
    assert_eq!(answer.header("reference-number"), Some(""));
    assert!(answer.header("date").is_some());
}

#[tokio::test]
async fn each_verdict_is_counted() {
    type Change = fn(&mut Examined);
    let cases: [(Change, &str, &str); 5] = [
        (|_| (), DETECT, r#"operation="liveness_detection",reason="none",verdict="accepted""#),
        (
            |found| found.live[0].faces[0].liveness = Some(0.25),
            DETECT,
            r#"operation="liveness_detection",reason="RejectedByPassiveLiveDetection",verdict="rejected""#,
        ),
        (
            |found| found.live[0].faces.clear(),
            VERIFY,
            r#"operation="photo_verify",reason="FaceNotFound",verdict="not_judged""#,
        ),
        (|_| (), VERIFY, r#"operation="photo_verify",reason="none",verdict="accepted""#),
        (
            |found| found.verification = found.verification.map(|_| Far::ONE),
            VERIFY,
            r#"operation="photo_verify",reason="none",verdict="rejected""#,
        ),
    ];
    for (change, path, labels) in cases {
        let gateway = Gateway::start(finding(change)).await;
        post(&gateway, path, &json_of(&["one"])).await;
        let text = gateway.metrics.encode();
        assert!(text.contains(&format!("faceline_biometric_verdicts_total{{{labels}}} 1")), "{text}");
    }
}

#[tokio::test]
async fn two_pictures_and_tags_are_asked_for_motion() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut body = json_of(&["one", "two"]);
    body["liveImages"][1]["tags"] = json!(["RIGHT", "unknown"]);
    let answer = post(&gateway, DETECT, &body).await.json();
    assert_eq!((&answer["live"], &answer["livenessScore"]), (&json!(true), &json!(0.8125)));
    let face = &answer["imageProperties"][1]["faces"][0];
    assert_eq!((&face["motionLivenessScore"], &face["movementDirection"]), (&json!(0.9375), &json!(180)));
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Examine(examination) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!(examination.live, ["one", "two"]);
    assert_eq!((&examination.challenge[..], &examination.photo), (&[Direction::Right][..], &None));
}

#[tokio::test]
async fn a_photo_is_compared() {
    let gateway = Gateway::start(Workers::able()).await;
    let answer = post(&gateway, VERIFY, &json_of(&["one"])).await;
    let photo = PICTURE.replace("0.75", "0");
    let expected = format!(
        r#"{{"status":"SUCCEEDED","errors":[],"imageProperties":[{PICTURE}],"photoProperties":{photo},"verificationLevel":"LEVEL_5","verificationScore":{},"live":true,"livenessScore":0.75}}"#,
        answer.json()["verificationScore"]
    );
    assert_eq!(answer.body, expected);
    assert!(answer.header("jobid").is_some());

    let mut body = json_of(&["one"]);
    body["disableLivenessDetection"] = json!(true);
    let answer = post(&gateway, VERIFY, &body).await.json();
    assert_eq!((&answer["live"], &answer["livenessScore"]), (&json!(false), &json!(0)));
    assert_eq!((&answer["errors"], &answer["verificationLevel"]), (&json!([]), &json!("LEVEL_5")));
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Examine(examination) = &jobs[1].task else { panic!("{jobs:?}") };
    assert_eq!((examination.liveness, examination.photo.as_deref()), (false, Some(&b"photo"[..])));
}

#[tokio::test]
async fn each_reason_has_its_code_and_quality_its_checks() {
    type Change = fn(&mut Examined);
    let cases: [(Change, &str, &[&str]); 6] = [
        (|found| found.live[0].faces.clear(), "FaceNotFound", &[]),
        (|found| reject(found, 0, Check::FaceCovered), "FaceNotFound", &["SuitableFace", "FaceOcclusion"]),
        (|found| reject(found, 0, Check::FaceTooClose), "ThumbnailExtractionFailed", &["FullyVisibleFace"]),
        (|found| found.live[0].faces[0].liveness = Some(0.25), "RejectedByPassiveLiveDetection", &[]),
        (
            |found| found.motion = Some(Motion { score: 0.25, direction: None, follows: true }),
            "RejectedByActiveLiveDetection",
            &[],
        ),
        (
            |found| found.motion = Some(Motion { score: 0.75, direction: Some(1.0), follows: false }),
            "RejectedByChallengeResponse",
            &[],
        ),
    ];
    for (change, code, checks) in cases {
        let gateway = Gateway::start(finding(change)).await;
        let answer = post(&gateway, DETECT, &json_of(&["one", "two"])).await.json();
        assert_eq!((&answer["status"], &answer["live"]), (&json!("SUCCEEDED"), &json!(false)));
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(answer["errors"][0]["errorCode"], code);
        assert!(answer["errors"][0]["message"].as_str().unwrap().ends_with('.'));
        let said = answer["imageProperties"][0]["qualityAssessments"].as_array().unwrap();
        assert_eq!(said.iter().map(|said| said["check"].as_str().unwrap()).collect::<Vec<_>>(), checks);
        assert!(said.iter().all(|said| said["score"] == 0.125 && said["message"].is_string()));

        let verified = post(&gateway, VERIFY, &json_of(&["one", "two"])).await.json();
        assert_eq!(verified["errors"], answer["errors"]);
        assert_eq!(
            (&verified["verificationLevel"], &verified["verificationScore"]),
            (&json!("NOT_RECOGNIZED"), &json!(0))
        );
        assert_eq!(verified.get("photoProperties"), None);
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_told() {
    let undecodable = Gateway::start(Workers::new(|_| {
        let reason = "not an image".to_owned();
        Err(SubmitError::Failed(JobFailure::BadPicture { subject: Subject::Photo, reason }))
    }))
    .await;
    let answer = post(&undecodable, VERIFY, &json_of(&["one"])).await;
    assert_eq!(refused(&answer), (400, 3, "The photo cannot be decoded: not an image.".into()));

    let gateway = Gateway::start(Workers::able()).await;
    for (path, body, expected) in [
        (DETECT, json!({}), "No live images"),
        (DETECT, json!({"liveImages": []}), "No live images"),
        (DETECT, json_of(&["a", "b", "c"]), "Too many images"),
        (DETECT, json_of(&[""]), "The live image 1 is empty."),
        (VERIFY, json!({"liveImages": [{"image": "YQ=="}]}), "No photo"),
        (
            DETECT,
            json!({"liveImages": [{"image": "data:image/jpeg;base64,YQ=="}]}),
            "The body cannot be read",
        ),
        (DETECT, json!([1]), "The body cannot be read"),
    ] {
        let (status, code, message) = refused(&post(&gateway, path, &body).await);
        assert_eq!((status, code), (400, 3), "{body}");
        assert!(message.starts_with(expected), "{message}");
    }
    let authorization = authorization();
    for (headers, body) in [
        (&[("Content-Type", "text/plain")][..], &b"{}"[..]),
        (&[], b"{}"),
        (&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], b"{}"),
        (&[("Content-Type", "application/json")], b"{"),
    ] {
        let headers = [&[("Authorization", authorization.as_str())], headers].concat();
        let answer = send(gateway.address, &format!("POST {DETECT}"), &headers, body).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (400, 3), "{headers:?}");
    }
    for (line, status, code) in
        [(format!("GET {DETECT}"), 405, 12), ("POST /api/v1/nothing".to_owned(), 404, 5)]
    {
        let answer = send(gateway.address, &line, &[], b"").await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code));
    }
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn what_goes_wrong_inside_has_its_status() {
    for (error, status, code) in [
        (SubmitError::Failed(JobFailure::Internal), 500, 13),
        (Fault::DeadlineRunning { callers_own: false }.into(), 500, 4),
        (SubmitError::Busy(BusyCause::NoWorker), 503, 14),
        (SubmitError::Busy(BusyCause::DeadlineQueued { callers_own: false }), 503, 14),
        (SubmitError::Busy(BusyCause::BrokerUnreachable), 503, 14),
    ] {
        let said = error.clone();
        let gateway = Gateway::start(Workers::new(move |_| Err(said.clone()))).await;
        let answer = post(&gateway, DETECT, &json_of(&["one"])).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code), "{error:?}");
    }
}

#[tokio::test]
async fn seventy_megabytes_are_taken_and_no_more() {
    let gateway = Gateway::start(Workers::able()).await;
    let authorization = authorization();
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    // A picture of the maximum size that gRPC accepts.
    let picture = STANDARD.encode_to_string(vec![7; 50 << 20]);
    let body = format!(r#"{{"liveImages":[{{"image":"{picture}"}}]}}"#);
    assert!(body.len() < 70 << 20);
    let answer = send(gateway.address, &format!("POST {DETECT}"), &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let length = (70_usize << 20) + 1;
    let announced = length.to_string();
    let too_long = [&headers[..], &[("Content-Length", announced.as_str())]].concat();
    let answer = exchange(gateway.address, &request(&format!("POST {DETECT}"), &too_long, b"")).await;
    assert_eq!((refused(&answer).0, refused(&answer).1), (413, 3));
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn a_body_of_json_takes_room_for_its_pictures_too() {
    let gateway = Gateway::start(Workers::held()).await;
    let body = json_of(&["one"]).to_string();
    let room = body.len() * 12 / 5;
    let (address, authorization) = (gateway.address, authorization());
    let asked = tokio::spawn(async move {
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        send(address, &format!("POST {DETECT}"), &headers, body.as_bytes()).await
    });
    gateway.workers.arrived.notified().await;
    // The bytes count twice: the sealed copy stays in the process.
    counted(&gateway, &format!("faceline_gateway_inflight_bytes {}", room * 2));
    gateway.workers.permits.add_permits(1);
    assert_eq!(asked.await.unwrap().status, 200);
}
