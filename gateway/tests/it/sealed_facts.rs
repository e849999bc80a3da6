//! The facts in answers about a face that the caller sends back: those that its template was sealed with, and never
//! the caller's claims.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, get, post, post_json};
use crate::gateway::{Gateway, SESSIONS};
use crate::signed::assert_signed;
use crate::workers::{self, Workers};

const FACES: &str = "/bioserver-app/v2/faces";
const MATCH: &str = "/bioserver-app/v2/match";

/// Members that the service computes, with false values and the names in the refusals.
fn claims() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"digest": "0".repeat(64)}), "digest"),
        (json!({"imageType": "ID_DOCUMENT"}), "imageType"),
        (json!({"quality": 299}), "quality"),
        (json!({"quality": "294"}), "quality"),
        (json!({"landmarks": {"eyes": {"x1": 0, "y1": 0, "x2": 9, "y2": 0}}}), "landmarks.eyes.x1"),
        (
            json!({"landmarks": {"eyes": {"x1": 1220.5284, "y1": 1891.722, "x2": 1621.1726, "y2": 581.5}}}),
            "landmarks.eyes.y2",
        ),
        (
            json!({"landmarks": {"box": {"x": 900, "y": 1500, "width": 1001, "height": 1200}}}),
            "landmarks.box.width",
        ),
    ]
}

/// A face of an earlier answer of this gateway.
async fn earlier_face(gateway: &Gateway) -> Value {
    let parts = [("imageType", "SELFIE"), ("friendlyName", "A name"), ("image", "x")];
    let answer = post(gateway.address, FACES, &parts).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The face with other values for the members of `change`.
fn changed(face: &Value, change: &Value) -> Value {
    let mut face = face.clone();
    face.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    face
}

async fn compared(gateway: &Gateway, face: &Value) -> Answer {
    let face = face.to_string();
    let parts =
        [("referenceFace", face.as_str()), ("candidateImage", "y"), ("candidateImageType", "VIDEO_FRAME")];
    post(gateway.address, MATCH, &parts).await
}

async fn added(gateway: &Gateway, session: Uuid, face: &Value) -> Answer {
    post_json(gateway.address, &format!("{SESSIONS}/{session}/faces"), &face.to_string()).await
}

#[tokio::test]
async fn a_claim_that_contradicts_the_template_is_refused_in_every_operation() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let face = earlier_face(&gateway).await;
    for (claim, member) in claims() {
        for claiming in [
            changed(&face, &claim),
            changed(&json!({"template": face["template"], "imageType": "SELFIE"}), &claim),
        ] {
            let contradicts =
                |part| format!("`{part}`: `{member}` contradicts the template, which was made with ");
            for (part, answer) in [
                ("referenceFace", compared(&gateway, &claiming).await),
                ("face", added(&gateway, session, &claiming).await),
                ("face", added(&gateway, session, &json!({"face": claiming})).await),
            ] {
                let (status, message) = answer.error();
                assert!(
                    status == 400 && message.starts_with(&contradicts(part)),
                    "{claim}: {status} {message}"
                );
            }
        }
    }
    assert_eq!(get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await.body, "[]");
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), 1, "refused before a job is made");
}

#[tokio::test]
async fn answers_say_what_the_template_was_sealed_with_however_little_the_caller_sends() {
    let gateway = Gateway::start(Workers::able()).await;
    let face = earlier_face(&gateway).await;
    let box_of_face = json!({"x": 900, "y": 1500, "width": 1000, "height": 1200});
    assert_eq!(face["landmarks"]["box"], box_of_face);
    let session = gateway.session("").await;
    let least = json!({"template": face["template"], "friendlyName": "Another name"});
    let sealed = |shown: &Value| {
        for member in ["digest", "imageType", "quality", "landmarks"] {
            assert!(!face[member].is_null());
            assert_eq!(shown[member], face[member], "{member}");
        }
    };

    let compared = compared(&gateway, &least).await;
    assert_signed(&gateway, &compared.body);
    sealed(&compared.json()["reference"]);
    assert_eq!(compared.json()["reference"]["friendlyName"], "Another name");
    assert_eq!(compared.json()["candidate"]["imageType"], "VIDEO_FRAME");
    assert_eq!(compared.json()["candidate"]["landmarks"]["box"], box_of_face);

    let mut locations = Vec::new();
    for _ in 0..2 {
        let created = added(&gateway, session, &least).await;
        assert_eq!(created.status, 201, "{created:?}");
        locations.push(format!("/bioserver-app{}", created.header("location").unwrap()));
    }
    let described = get(gateway.address, &locations[0]).await;
    assert_signed(&gateway, &described.body);
    sealed(&described.json());
    assert_eq!(described.json()["friendlyName"], "Another name");
    assert_eq!(described.json()["template"], face["template"]);
    let listed = get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await;
    listed.json().as_array().unwrap().iter().for_each(sealed);
    let matches = get(gateway.address, &format!("{}/matches", locations[0])).await;
    assert_signed(&gateway, &matches.body);
    sealed(&matches.json()[0]["reference"]);
    sealed(&matches.json()[0]["candidate"]);
    assert_eq!(matches.json()[0]["candidate"]["friendlyName"], "Another name");

    // The session's face is sent back twice: unchanged, and after a parser that knows only doubles.
    let again = added(&gateway, session, &described.json()).await;
    assert_eq!(again.status, 201, "{again:?}");
    let again = get(gateway.address, &format!("/bioserver-app{}", again.header("location").unwrap())).await;
    assert_signed(&gateway, &again.body);
    sealed(&again.json());
}

#[tokio::test]
async fn an_answer_does_not_repeat_what_an_earlier_template_cannot_prove() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let template = gateway.stores.templates().encode(&workers::face().embedding, None).unwrap();
    let mut face = json!({
        "id": "31214b58-9edc-425b-9436-60dcd94fbc3a", "friendlyName": "A name", "mode": "FL1_512", "imageType": "SELFIE",
        "imageRotationEnabled": true, "template": template,
    });
    let mut locations = Vec::new();
    for (claim, _) in claims() {
        face = changed(&face, &claim);
        let compared = compared(&gateway, &face).await;
        assert_signed(&gateway, &compared.body);
        let reference = json!({"id": "31214b58-9edc-425b-9436-60dcd94fbc3a", "friendlyName": "A name", "mode": "FL1_512"});
        assert_eq!(compared.json()["reference"], reference);
        let created = added(&gateway, session, &face).await;
        assert_eq!(created.status, 201, "{created:?}");
        locations.push(format!("/bioserver-app{}", created.header("location").unwrap()));
    }
    let described = get(gateway.address, &locations[0]).await;
    assert_signed(&gateway, &described.body);
    let members: Vec<String> = described.json().as_object().unwrap().keys().cloned().collect();
    let expected =
        ["created", "expires", "friendlyName", "id", "mode", "signature", "template", "templateVersion"];
    assert_eq!(members, expected);
    let matches = get(gateway.address, &format!("{}/matches", locations[0])).await;
    assert_signed(&gateway, &matches.body);
    for side in ["reference", "candidate"] {
        let members: Vec<String> = matches.json()[0][side].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["friendlyName", "id", "mode"], "{side}");
    }
}

#[tokio::test]
async fn a_face_of_a_worker_that_knows_no_box_has_none_and_goes_round() {
    let gateway = Gateway::start(Workers::new(|job| {
        Ok(match workers::answer(job) {
            faceline_shared::job::JobResult::Coded(mut coded) => {
                coded.face.as_mut().unwrap().face_box = None;
                faceline_shared::job::JobResult::Coded(coded)
            }
            other => other,
        })
    }))
    .await;
    let face = earlier_face(&gateway).await;
    assert!(face["landmarks"]["eyes"].is_object() && face["landmarks"].get("box").is_none(), "{face}");
    let claiming = changed(&face, &json!({"landmarks": {"box": {"x": 1, "y": 1, "width": 1, "height": 1}}}));
    for face in [&face, &claiming] {
        let compared = compared(&gateway, face).await.json();
        assert!(compared["reference"]["landmarks"]["eyes"].is_object(), "{compared}");
        assert!(compared["reference"]["landmarks"].get("box").is_none(), "{compared}");
    }
}
