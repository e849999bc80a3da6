//! Capabilities, and faces and matches that belong to no session.

use faceline_shared::job::{JobFailure, JobResult, Subject};
use serde_json::Value;

use super::{contract, probes};
use crate::client::{get, post};
use crate::gateway::Gateway;
use crate::signed::assert_signed;
use crate::workers::{Workers, coded};

contract! {
    capabilities_are_told: [("GetCapabilities", 200, ["version", "currentMode"]), ("GetCapabilities", 404)];
    an_instance_that_lacks_something_says_so: [("GetCapabilities", 500)];
    a_direct_face_has_these_members: [
        ("CreateDirectFaceFromImage", 200, [
            "face", "mode", "imageType", "friendlyName", "imageRotationEnabled", "image", "correlationId", "evidenceId",
            "id", "digest", "quality", "landmarks", "template", "templateVersion", "created", "signature",
        ]),
    ];
    a_direct_face_needs_no_signature: [("CreateDirectFaceFromImage", 200, ["signatureDisabled"])];
    a_match_of_images_has_these_members: [
        ("ImagesMatch", 200, [
            "referenceImage", "candidateImage", "referenceImageType", "candidateImageType", "correlationId",
            "evidenceId", "imageRotationEnabled", "reference", "candidate", "score", "falseAcceptanceRate", "created",
            "signature",
        ]),
    ];
    a_match_with_a_face_has_these_members: [
        ("Match", 200, [
            "candidateImage", "candidateImageType", "referenceFace", "imageRotationEnabled", "correlationId",
            "evidenceId", "reference", "candidate", "score", "falseAcceptanceRate", "created", "signature",
        ]),
    ];
    what_is_missing_is_said: [("CreateDirectFaceFromImage", 400), ("ImagesMatch", 400), ("Match", 400)];
    a_picture_may_be_too_large: [("CreateDirectFaceFromImage", 413), ("ImagesMatch", 413), ("Match", 413)];
    there_may_be_no_room: [("CreateDirectFaceFromImage", 429), ("ImagesMatch", 429), ("Match", 429)];
    workers_may_fail: [("CreateDirectFaceFromImage", 500), ("ImagesMatch", 500), ("Match", 500)];
}

const FACES: &str = "/bioserver-app/v2/faces";
const MATCH_IMAGES: &str = "/bioserver-app/v2/match/images";
const MATCH: &str = "/bioserver-app/v2/match";

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn capabilities_are_told() {
    let gateway = Gateway::start(Workers::able()).await;
    let answer = get(gateway.address, "/bioserver-app/v2/capabilities").await;
    assert_eq!(answer.body, r#"{"currentMode":["FL1_512"],"version":"0.1.0"}"#);
    let elsewhere = get(gateway.address, "/bioserver-app/v3/capabilities").await;
    assert_eq!(elsewhere.error(), (404, "there is nothing at this path".into()));
}

async fn an_instance_that_lacks_something_says_so() {
    let gateway = Gateway::start(Workers::able()).await;
    gateway.ready.set(false);
    let answer = get(gateway.address, "/bioserver-app/v2/capabilities").await;
    assert_eq!(answer.error(), (500, "the instance is not working properly".into()));
    gateway.ready.set(true);
    assert_eq!(get(gateway.address, "/bioserver-app/v2/capabilities").await.status, 200);
}

async fn a_direct_face_has_these_members() {
    let gateway = Gateway::start(Workers::able()).await;
    let face =
        r#"{"imageType":"SELFIE","friendlyName":"A name","mode":"F6_4_VID60X","imageRotationEnabled":false}"#;
    let parts = [("face", face), ("image", "x"), ("correlationId", "c"), ("evidenceId", "e")];
    let answer = post(gateway.address, FACES, &parts).await;
    assert_signed(&gateway, &answer.body);
    let expected = [
        "created",
        "digest",
        "friendlyName",
        "id",
        "imageRotationEnabled",
        "imageType",
        "landmarks",
        "mode",
        "quality",
        "signature",
        "template",
        "templateVersion",
    ];
    assert_eq!(members(&answer.json()), expected);
    assert!(answer.json()["landmarks"]["eyes"]["x1"].is_number());
}

async fn a_direct_face_needs_no_signature() {
    let gateway = Gateway::start(Workers::able()).await;
    for parts in [
        &[("image", "x"), ("imageType", "SELFIE"), ("signatureDisabled", "\"true\"")][..],
        &[("image", "x"), ("face", r#"{"imageType":"SELFIE","signatureDisabled":"TRUE"}"#)],
    ] {
        assert!(post(gateway.address, FACES, parts).await.json().get("signature").is_none());
    }
    let parts = [("image", "x"), ("imageType", "SELFIE"), ("signatureDisabled", "false")];
    assert_signed(&gateway, &post(gateway.address, FACES, &parts).await.body);
}

async fn a_match_of_images_has_these_members() {
    let gateway = Gateway::start(Workers::able()).await;
    let parts = [
        ("referenceImage", "one"),
        ("candidateImage", "two"),
        ("referenceImageType", "ID_DOCUMENT"),
        ("candidateImageType", "SELFIE"),
        ("imageRotationEnabled", "true"),
        ("correlationId", "c"),
        ("evidenceId", "e"),
    ];
    let answer = post(gateway.address, MATCH_IMAGES, &parts).await;
    assert_signed(&gateway, &answer.body);
    let expected = [
        "candidate",
        "correlationId",
        "created",
        "evidenceId",
        "falseAcceptanceRate",
        "reference",
        "score",
        "signature",
    ];
    assert_eq!(members(&answer.json()), expected);
    assert_eq!(answer.json()["reference"]["imageType"], "ID_DOCUMENT");
}

async fn a_match_with_a_face_has_these_members() {
    let gateway = Gateway::start(Workers::able()).await;
    let face = post(gateway.address, FACES, &[("imageType", "SELFIE"), ("image", "x")]).await;
    let parts = [
        ("referenceFace", face.body.as_str()),
        ("candidateImage", "two"),
        ("candidateImageType", "SELFIE"),
        ("imageRotationEnabled", "false"),
        ("correlationId", "c"),
        ("evidenceId", "e"),
    ];
    let answer = post(gateway.address, MATCH, &parts).await;
    assert_signed(&gateway, &answer.body);
    assert_eq!(answer.json()["reference"]["id"], face.json()["id"]);
    assert_eq!(answer.json()["candidate"]["imageRotationEnabled"], false);
    assert!(answer.json()["candidate"].get("template").is_none());
}

async fn what_is_missing_is_said() {
    let gateway = Gateway::start(Workers::able()).await;
    for (path, parts, expected) in [
        (FACES, &[("imageType", "SELFIE")][..], "`image` is missing"),
        (
            MATCH_IMAGES,
            &[("referenceImage", "x"), ("referenceImageType", "SELFIE")],
            "`candidateImage` is missing",
        ),
        (MATCH, &[("candidateImage", "x"), ("candidateImageType", "SELFIE")], "`referenceFace` is missing"),
    ] {
        assert_eq!(post(gateway.address, path, parts).await.error(), (400, expected.into()));
    }
}

/// The JSON of a face that the gateway made.
fn face(gateway: &Gateway) -> String {
    let template = gateway.stores.templates().encode(&crate::workers::face().embedding, None).unwrap();
    format!(r#"{{"imageType":"SELFIE","template":"{template}"}}"#)
}

async fn a_picture_may_be_too_large() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.picture_bytes = 100).await;
    let (large, face) = ("x".repeat(101), face(&gateway));
    for (path, parts) in [
        (FACES, &[("imageType", "SELFIE"), ("image", large.as_str())][..]),
        (MATCH_IMAGES, &[("referenceImage", large.as_str())]),
        (MATCH, &[("referenceFace", face.as_str()), ("candidateImage", large.as_str())]),
    ] {
        assert_eq!(post(gateway.address, path, parts).await.error().0, 413, "{path}");
    }
}

async fn there_may_be_no_room() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let face = face(&gateway);
    assert_eq!(post(gateway.address, FACES, &[("imageType", "SELFIE"), ("image", "x")]).await.status, 200);
    for probe in probes::direct(&face) {
        assert_eq!(probe.send(&gateway, Some("demo")).await.error().0, 429, "{}", probe.operation);
    }
}

async fn workers_may_fail() {
    let unavailable = "the service is temporarily unavailable, please try again shortly";
    for (failure, status, message) in [
        (JobFailure::Internal, 500, "internal error"),
        (JobFailure::Poison { attempts: 3 }, 500, "internal error"),
        (JobFailure::BlobLost, 503, unavailable),
    ] {
        let gateway = Gateway::start(Workers::new(move |_| Err(failure.clone().into()))).await;
        for probe in probes::direct(&face(&gateway)) {
            let answer = probe.send(&gateway, Some("demo")).await;
            assert_eq!(answer.error(), (status, message.into()), "{}", probe.operation);
            assert_eq!(answer.header("retry-after").is_some(), status == 503, "{}", probe.operation);
        }
    }
}

#[tokio::test]
async fn a_comparison_needs_two_faces() {
    let nobody = JobFailure::NoFace { subject: Subject::Candidate };
    let gateway = Gateway::start(Workers::new(move |job| match job.task {
        faceline_shared::job::Task::Code(_) => Ok(JobResult::Coded(coded(None))),
        _ => Err(nobody.clone().into()),
    }))
    .await;
    for probe in probes::direct(&face(&gateway)) {
        let answer = probe.send(&gateway, Some("demo")).await;
        match probe.operation {
            "CreateDirectFaceFromImage" => assert_eq!(answer.json()["quality"], -10_000),
            "ImagesMatch" | "Match" => {
                assert_eq!(answer.error(), (400, "`candidateImage`: no face was found".into()));
            }
            _ => (),
        }
    }
}
