//! Faces of sessions, and their pictures.

use std::sync::atomic::Ordering;

use faceline_shared::face::{Embedding, ImageType};
use faceline_shared::job::Task;
use faceline_shared::job::{JobFailure, JobResult, Subject};
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use super::contract;
use crate::client::{delete, get, post, post_json};
use crate::gateway::{Gateway, SESSIONS};
use crate::signed::assert_signed;
use crate::workers::{Workers, coded};

contract! {
    a_face_made_of_a_picture_is_described: [
        ("CreateFaceFromImage", 201, ["face", "imageType", "friendlyName", "imageRotationEnabled", "image", "Location"]),
        ("GetFace", 200, [
            "id", "friendlyName", "digest", "mode", "imageType", "quality", "landmarks", "template", "templateVersion",
            "imageRotationEnabled", "created", "expires", "signature",
        ]),
    ];
    the_values_of_a_face_may_be_parts_of_their_own: [("CreateFaceFromImage", 201, ["mode", "imageType"])];
    a_picture_without_a_face_is_described_all_the_same: [("CreateFaceFromImage", 201), ("GetFace", 200, ["quality"])];
    a_picture_that_cannot_be_used_makes_no_face: [("CreateFaceFromImage", 400, ["image", "imageType", "mode"])];
    a_face_made_of_an_earlier_answer_is_described: [
        ("CreateFaceFromJson", 201, ["face", "Location"]),
        ("GetFace", 200, ["id", "template", "expires"]),
    ];
    json_that_is_no_face_of_ours_is_refused: [("CreateFaceFromJson", 400, ["face"])];
    faces_are_listed_in_the_order_in_which_they_were_added: [
        ("GetFaces", 200, [
            "id", "friendlyName", "digest", "mode", "imageType", "quality", "landmarks", "template", "templateVersion",
            "imageRotationEnabled", "created", "expires", "signature",
        ]),
    ];
    a_session_has_room_for_so_many_faces: [("CreateFaceFromImage", 400), ("CreateFaceFromJson", 400)];
    a_picture_that_is_too_large_makes_no_face: [("CreateFaceFromImage", 413, ["image"])];
    a_deleted_face_is_gone: [("DeleteFace", 204), ("DeleteFace", 404), ("GetFace", 404), ("GetFaceImage", 404)];
    all_faces_are_deleted_at_once: [("DeleteFaces", 204), ("GetFaces", 200)];
    the_picture_of_a_face_comes_back: [("GetFaceImage", 200, ["Content-Type"])];
    a_picture_that_was_not_kept_is_no_content: [("GetFaceImage", 204)];
    a_picture_is_compressed_on_request: [("GetFaceImage", 200, ["compression", "Content-Type"]), ("GetFaceImage", 400, ["compression"])];
}

const PNG: &str = "\u{89}PNG, nearly";

async fn a_face_made_of_a_picture_is_described() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let face = r#"{"imageType":"SELFIE","friendlyName":"Presidential portrait of Barack Obama","imageRotationEnabled":true}"#;
    let created =
        post(gateway.address, &format!("{SESSIONS}/{session}/faces"), &[("face", face), ("image", "x")])
            .await;
    assert_eq!((created.status, created.body.as_str()), (201, ""));
    let location = created.header("location").unwrap();
    let (before, id) = location.split_once("/faces/").unwrap();
    assert_eq!(before, format!("/v2/bio-sessions/{session}"));

    let described = get(gateway.address, &format!("/bioserver-app{location}")).await;
    assert_eq!(described.status, 200);
    assert_eq!(described.json()["id"], id);
    assert_snapshot!(described.scrubbed(), @r#"{"id":"…","friendlyName":"Presidential portrait of Barack Obama","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}},"imageRotationEnabled":true,"template":"…","templateVersion":1,"created":"…","expires":"…","signature":"…"}"#);
    assert_signed(&gateway, &described.body);
    let owner = get(gateway.address, &format!("{SESSIONS}/{session}")).await;
    assert_eq!(described.json()["expires"], owner.json()["expires"]);
    assert_eq!(described.header("cache-control"), Some("no-store"));
}

async fn the_values_of_a_face_may_be_parts_of_their_own() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let parts = [("imageType", "\"ID_DOCUMENT\""), ("mode", "F5_2_VID75"), ("image", "x")];
    assert_eq!(post(gateway.address, &format!("{SESSIONS}/{session}/faces"), &parts).await.status, 201);
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Code(picture) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!((picture.image_type, picture.rotate), (ImageType::IdDocument, false));
    assert_eq!(jobs[0].client, "demo");
}

async fn a_picture_without_a_face_is_described_all_the_same() {
    let gateway = Gateway::start(Workers::new(|_| Ok(JobResult::Coded(coded(None))))).await;
    let session = gateway.session("").await;
    let face = gateway.face(session, "x").await;
    let described = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}")).await;
    assert_snapshot!(described.scrubbed(), @r#"{"id":"…","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":-10000,"created":"…","expires":"…","signature":"…"}"#);
}

async fn a_picture_that_cannot_be_used_makes_no_face() {
    let bad = JobFailure::BadPicture { subject: Subject::Image, reason: "this is not a picture".into() };
    let gateway = Gateway::start(Workers::new(move |_| Err(bad.clone().into()))).await;
    let session = gateway.session("").await;
    let faces = format!("{SESSIONS}/{session}/faces");
    for (parts, expected) in [
        (&[("image", "x"), ("imageType", "SELFIE")][..], "`image`: this is not a picture"),
        (&[("imageType", "SELFIE")], "`image` is missing"),
        (&[("image", "x")], "`imageType` is missing"),
        (
            &[("image", "x"), ("imageType", "CAT")],
            "`imageType` \"CAT\" is not known: allowed values are ID_DOCUMENT, SELFIE and VIDEO_FRAME",
        ),
        (
            &[("image", "x"), ("imageType", "SELFIE"), ("mode", "F9")],
            "`mode` \"F9\" is not known: allowed values are F5_2_VID75, F5_1_VID0, F5_3_VID60, F6_4_VID60X and FL1_512",
        ),
    ] {
        assert_eq!(post(gateway.address, &faces, parts).await.error(), (400, expected.into()));
    }
    assert_eq!(get(gateway.address, &faces).await.body, "[]");
}

async fn a_face_made_of_an_earlier_answer_is_described() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let faces = format!("{SESSIONS}/{session}/faces");
    let parts = [
        ("imageType", "SELFIE"),
        ("friendlyName", "A name"),
        ("imageRotationEnabled", "false"),
        ("image", "x"),
    ];
    let earlier = post(gateway.address, "/bioserver-app/v2/faces", &parts).await;
    for body in [earlier.body.clone(), format!(r#"{{"face":{}}}"#, earlier.body)] {
        let created = post_json(gateway.address, &faces, &body).await;
        assert_eq!((created.status, created.body.as_str()), (201, ""), "{body}");
        let location = created.header("location").unwrap();
        let described = get(gateway.address, &format!("/bioserver-app{location}")).await;
        assert_signed(&gateway, &described.body);
        let (described, earlier) = (described.json(), earlier.json());
        assert!(location.ends_with(described["id"].as_str().unwrap()));
        assert_ne!(described["id"], earlier["id"]);
        for member in [
            "friendlyName",
            "digest",
            "mode",
            "imageType",
            "quality",
            "landmarks",
            "template",
            "templateVersion",
            "imageRotationEnabled",
        ] {
            assert_eq!(described[member], earlier[member], "{member}");
        }
        assert!(described["expires"].is_string());
        let picture = get(gateway.address, &format!("/bioserver-app{location}/image")).await;
        assert_eq!((picture.status, picture.body.as_str()), (204, ""));
    }
    // The gateway does this without a worker.
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), 1);
}

async fn json_that_is_no_face_of_ours_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let faces = format!("{SESSIONS}/{session}/faces");
    let template = gateway.stores.templates().encode(&crate::workers::face().embedding, None).unwrap();
    let old = gateway.stores.templates().encode(&Embedding::new("FL0_128", 3, &[1.0]), None).unwrap();
    let mut forged = template.clone();
    forged.replace_range(40..41, if &template[40..41] == "A" { "B" } else { "A" });
    for (face, expected) in [
        (json!({"imageType": "SELFIE"}), "`face`: the face has no template".to_owned()),
        (json!({"template": template}), "`imageType` is missing".to_owned()),
        (
            json!({"template": forged, "imageType": "SELFIE"}),
            "`face`: the template is broken or comes from elsewhere".to_owned(),
        ),
        (
            json!({"template": "EQAAAMwDAAACA", "imageType": "SELFIE", "mode": "F6_4_VID60X"}),
            "`face`: the template was made by F6_4_VID60X, and this service uses FL1_512".to_owned(),
        ),
        (
            json!({"template": old, "imageType": "SELFIE"}),
            "`face`: the template was made by FL0_128 version 3, and this service uses FL1_512 version 1"
                .to_owned(),
        ),
    ] {
        assert_eq!(
            post_json(gateway.address, &faces, &face.to_string()).await.error(),
            (400, expected),
            "{face}"
        );
    }
    for text in ["", "[]", "{", "null"] {
        let (status, message) = post_json(gateway.address, &faces, text).await.error();
        assert!(status == 400 && message.starts_with("`face`: this is not a face"), "{text}: {message}");
    }
    assert_eq!(get(gateway.address, &faces).await.body, "[]");
}

async fn faces_are_listed_in_the_order_in_which_they_were_added() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let mut added = Vec::new();
    for name in ["one", "two", "three"] {
        let face =
            format!(r#"{{"imageType":"SELFIE","friendlyName":"{name}","imageRotationEnabled":false}}"#);
        let created = post(
            gateway.address,
            &format!("{SESSIONS}/{session}/faces"),
            &[("face", &face), ("image", name)],
        )
        .await;
        added.push(created.header("location").unwrap().to_owned());
    }
    let listed = get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await;
    assert_eq!(listed.status, 200);
    let mut single = Vec::new();
    for location in &added {
        single.push(get(gateway.address, &format!("/bioserver-app{location}")).await.body);
    }
    // Each element equals the answer at its own path, signature included.
    assert_eq!(listed.body, format!("[{}]", single.join(",")));
    assert_eq!(listed.json()[2]["friendlyName"], "three");
}

async fn a_session_has_room_for_so_many_faces() {
    let gateway = Gateway::with(Workers::able(), |config| config.sessions.max_faces = 2).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let faces = format!("{SESSIONS}/{session}/faces");
    let first = gateway.face(session, "x").await;
    gateway.face(session, "x").await;
    let full = (400, "the bio-session has 2 faces, and no more are allowed".to_owned());
    let parts = [("imageType", "SELFIE"), ("image", "x")];
    assert_eq!(post(gateway.address, &faces, &parts).await.error(), full);
    let earlier = get(gateway.address, &format!("{faces}/{first}")).await;
    assert_eq!(post_json(gateway.address, &faces, &earlier.body).await.error(), full);
    assert_eq!(gateway.stores.pictures().len(), 2, "the third picture is not kept");
}

async fn a_picture_that_is_too_large_makes_no_face() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.picture_bytes = 100).await;
    let session = gateway.session("").await;
    let parts = [("imageType", "SELFIE"), ("image", &"x".repeat(101))];
    let (status, message) =
        post(gateway.address, &format!("{SESSIONS}/{session}/faces"), &parts).await.error();
    assert_eq!(
        (status, message.as_str()),
        (413, "the request is too big: at most 100 bytes are allowed in `image`")
    );
}

async fn a_deleted_face_is_gone() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let (gone, stays) = (gateway.face(session, "gone").await, gateway.face(session, "stays").await);
    let path = format!("{SESSIONS}/{session}/faces");
    let deleted = delete(gateway.address, &format!("{path}/{gone}")).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let not_found = (404, "Face not found".to_owned());
    assert_eq!(delete(gateway.address, &format!("{path}/{gone}")).await.error(), not_found);
    assert_eq!(get(gateway.address, &format!("{path}/{gone}")).await.error(), not_found);
    assert_eq!(get(gateway.address, &format!("{path}/{gone}/image")).await.error(), not_found);
    assert_eq!(gateway.stores.pictures(), [format!("sessions/{session}/{stays}")]);
    assert_eq!(get(gateway.address, &path).await.json().as_array().unwrap().len(), 1);
}

async fn all_faces_are_deleted_at_once() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let path = format!("{SESSIONS}/{session}/faces");
    gateway.face(session, "x").await;
    gateway.face(session, "y").await;
    let deleted = delete(gateway.address, &path).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let listed = get(gateway.address, &path).await;
    assert_eq!((listed.status, listed.body.as_str()), (200, "[]"));
    assert!(gateway.stores.pictures().is_empty());
    assert_eq!(delete(gateway.address, &path).await.status, 204, "an empty collection is deleted, too");
}

async fn the_picture_of_a_face_comes_back() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    // The picture is longer than one chunk of the answer.
    let large = format!("GIF89a{}", "x".repeat(200_000));
    for (file, kind) in [("P6 1 1 255 abc", "image/x-portable-anymap"), (large.as_str(), "image/gif")] {
        let face = gateway.face(session, file).await;
        let picture = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}/image")).await;
        assert_eq!((picture.status, picture.header("content-type")), (200, Some(kind)));
        assert_eq!(picture.header("content-length"), Some(file.len().to_string().as_str()));
        assert_eq!(picture.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(picture.header("cache-control"), Some("no-store"));
        assert!(picture.body == file);
    }
    gateway.until(async || gateway.metrics.encode().contains("faceline_gateway_inflight_bytes 0")).await;
}

async fn a_picture_that_was_not_kept_is_no_content() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let face = gateway.face(session, "x").await;
    for query in ["", "?compression=true", "?compression=false"] {
        let picture = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}/image{query}")).await;
        assert_eq!((picture.status, picture.body.as_str()), (204, ""));
    }
    assert!(gateway.stores.pictures().is_empty());
}

async fn a_picture_is_compressed_on_request() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let face = gateway.face(session, PNG).await;
    let image = format!("{SESSIONS}/{session}/faces/{face}/image");
    let plain = get(gateway.address, &format!("{image}?compression=false")).await;
    assert_eq!(plain.body, PNG);
    let compressed = get(gateway.address, &format!("{image}?compression=true")).await;
    assert_eq!((compressed.status, compressed.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(compressed.body, format!("a JPEG of {PNG}"));
    let (status, message) = get(gateway.address, &format!("{image}?compression=perhaps")).await.error();
    assert_eq!((status, message.as_str()), (400, "`compression` must be true or false"));

    // The workers are unavailable, so only operations that need them fail.
    gateway.workers.connected.store(false, Ordering::Relaxed);
    assert_eq!(get(gateway.address, &image).await.status, 200);
    assert_eq!(get(gateway.address, &format!("{image}?compression=true")).await.error().0, 503);
}

/// A JPEG is returned unchanged, because another compression would only reduce its quality.
#[tokio::test]
async fn a_jpeg_is_not_compressed_again() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let face = gateway.face_of_bytes(session, b"\xff\xd8\xff\xe0 and so on").await;
    let image =
        get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}/image?compression=true")).await;
    assert_eq!((image.status, image.header("content-type")), (200, Some("image/jpeg")));
    assert!(image.body.ends_with(" and so on"));
    let jobs = gateway.workers.jobs.lock().unwrap();
    assert!(jobs.iter().all(|job| matches!(job.task, Task::Code(_))));
}

#[tokio::test]
async fn faces_of_other_sessions_are_not_found() {
    let gateway = Gateway::start(Workers::able()).await;
    let (one, other) = (gateway.session("").await, gateway.session("").await);
    let face = gateway.face(one, "x").await;
    for path in [face.to_string(), Uuid::new_v4().to_string(), "no-id".into()] {
        let answer = get(gateway.address, &format!("{SESSIONS}/{other}/faces/{path}")).await;
        assert_eq!(answer.error(), (404, "Face not found".into()));
    }
    let listed: Value = get(gateway.address, &format!("{SESSIONS}/{other}/faces")).await.json();
    assert_eq!(listed, json!([]));
}
