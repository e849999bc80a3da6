//! Requests and answers of every operation over HTTP.

use faceline_shared::face::ImageType;
use faceline_shared::job::{JobFailure, JobResult, Subject};
use faceline_shared::job::{Match, Reference, Task};
use insta::assert_snapshot;

use crate::client::{exchange, get, post, post_body, request};
use crate::gateway::Gateway;
use crate::workers::{Workers, coded};

const FACES: &str = "/bioserver-app/v2/faces";
const MATCH_IMAGES: &str = "/bioserver-app/v2/match/images";
const MATCH: &str = "/bioserver-app/v2/match";

#[tokio::test]
async fn capabilities_name_the_algorithm() {
    let gateway = Gateway::start(Workers::able()).await;
    let answer = get(gateway.address, "/bioserver-app/v2/capabilities").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_snapshot!(answer.body, @r#"{"currentMode":["FL1_512"],"version":"0.1.0"}"#);
}

#[tokio::test]
async fn a_face_is_described() {
    let gateway = Gateway::start(Workers::able()).await;
    let face = r#"{"imageType":"SELFIE","friendlyName":"Presidential portrait of Barack Obama","imageRotationEnabled":false}"#;
    let answer = post(gateway.address, FACES, &[("face", face), ("image", "the picture")]).await;
    assert_eq!(answer.status, 200);
    assert_snapshot!(answer.scrubbed(), @r#"{"id":"…","friendlyName":"Presidential portrait of Barack Obama","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}},"imageRotationEnabled":false,"template":"…","templateVersion":1,"created":"…","signature":"…"}"#);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Code(picture) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!(picture.picture, "the picture");
    assert_eq!((picture.image_type, picture.rotate), (ImageType::Selfie, false));
    assert_eq!(jobs[0].client, "demo");
}

#[tokio::test]
async fn values_may_be_parts_of_their_own_with_quotes_in_them() {
    let gateway = Gateway::start(Workers::able()).await;
    let parts = [
        ("imageType", "\"ID_DOCUMENT\""),
        ("mode", "F6_4_VID60X"),
        ("imageRotationEnabled", "\"TRUE\""),
        ("signatureDisabled", "true"),
        ("unknown", "ignored"),
        ("image", "x"),
    ];
    let answer = post(gateway.address, FACES, &parts).await;
    assert_snapshot!(answer.scrubbed(), @r#"{"id":"…","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"ID_DOCUMENT","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}},"imageRotationEnabled":true,"template":"…","templateVersion":1,"created":"…"}"#);
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Code(picture) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!((picture.image_type, picture.rotate), (ImageType::IdDocument, true));
}

/// The body is the one that curl sends for `-H 'Content-Type: multipart/mixed' -F 'face=@face' -F 'image=@image'`.
#[tokio::test]
async fn the_curl_line_of_the_text_works_as_it_stands() {
    let gateway = Gateway::start(Workers::able()).await;
    let body = concat!(
        "--------------------------4a6d3a\r\n",
        "Content-Disposition: attachment; name=\"face\"; filename=\"face\"\r\n",
        "Content-Type: application/octet-stream\r\n\r\n",
        "\u{feff}{\r\n  \"imageType\": \"SELFIE\",\r\n  \"imageRotationEnabled\": \"true\"\r\n}\n\r\n",
        "--------------------------4a6d3a\r\n",
        "Content-Disposition: attachment; name=\"image\"; filename=\"image.jpg\"\r\n",
        "Content-Type: image/jpeg\r\n\r\n",
        "\u{0}\r\n--------------------------4a6d3\r\nstill the picture\r\n",
        "--------------------------4a6d3a--\r\n",
    );
    let headers =
        [("apikey", "demo"), ("Content-Type", "multipart/mixed; boundary=------------------------4a6d3a")];
    let answer =
        exchange(gateway.address, &request(&format!("POST {FACES}"), &headers, body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Code(picture) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!(picture.picture, "\u{0}\r\n--------------------------4a6d3\r\nstill the picture");
    assert!(picture.rotate);
}

#[tokio::test]
async fn nobody_is_described_without_template_and_landmarks() {
    let gateway = Gateway::start(Workers::new(|_| Ok(JobResult::Coded(coded(None))))).await;
    let answer = post(gateway.address, FACES, &[("imageType", "SELFIE"), ("image", "x")]).await;
    assert_eq!(answer.status, 200);
    assert_snapshot!(answer.scrubbed(), @r#"{"id":"…","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":-10000,"created":"…","signature":"…"}"#);
}

#[tokio::test]
async fn two_pictures_are_compared() {
    let gateway = Gateway::start(Workers::able()).await;
    let parts = [
        ("referenceImage", "one"),
        ("candidateImage", "two"),
        ("referenceImageType", "ID_DOCUMENT"),
        ("candidateImageType", "SELFIE"),
        ("correlationId", "c5a0aec2-1262-41b6-82bd-e9d60da92ef2"),
    ];
    let answer = post(gateway.address, MATCH_IMAGES, &parts).await;
    assert_eq!(answer.status, 200);
    assert_snapshot!(answer.scrubbed(), @r#"{"reference":{"id":"…","mode":"FL1_512","imageType":"ID_DOCUMENT","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"candidate":{"id":"…","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"score":10269.438178710938,"falseAcceptanceRate":1e-15,"correlationId":"c5a0aec2-1262-41b6-82bd-e9d60da92ef2","created":"…","signature":"…"}"#);
}

#[tokio::test]
async fn a_face_of_an_earlier_answer_is_compared_with_a_picture() {
    let gateway = Gateway::start(Workers::able()).await;
    let face = post(
        gateway.address,
        FACES,
        &[("imageType", "SELFIE"), ("friendlyName", "A name"), ("image", "one")],
    )
    .await;
    let parts = [
        ("referenceFace", face.body.as_str()),
        ("candidateImage", "two"),
        ("candidateImageType", "\"SELFIE\""),
        ("imageRotationEnabled", "\"true\""),
        ("correlationId", "\"c5a0aec2-1262-41b6-82bd-e9d60da92ef2\""),
        ("evidenceId", "e-1"),
    ];
    let answer = post(gateway.address, MATCH, &parts).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["reference"]["id"], face.json()["id"]);
    assert_snapshot!(answer.scrubbed(), @r#"{"reference":{"id":"…","friendlyName":"A name","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"candidate":{"id":"…","mode":"FL1_512","imageType":"SELFIE","quality":295,"imageRotationEnabled":true,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"score":10269.438178710938,"falseAcceptanceRate":1e-15,"correlationId":"c5a0aec2-1262-41b6-82bd-e9d60da92ef2","evidenceId":"e-1","created":"…","signature":"…"}"#);

    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Match(compared) = &jobs[1].task else { panic!("{jobs:?}") };
    let Match { reference: Reference::Template(embedding), candidate } = compared.as_ref() else {
        panic!("{jobs:?}")
    };
    assert_eq!(*embedding, crate::workers::face().embedding);
    assert!(candidate.rotate);
}

#[tokio::test]
async fn what_is_missing_or_wrong_in_a_form_is_named() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut said = String::new();
    for (path, parts) in [
        (FACES, &[("imageType", "SELFIE")][..]),
        (FACES, &[("image", "x")]),
        (FACES, &[("image", "x"), ("imageType", "selfie")]),
        (FACES, &[("image", "x"), ("imageType", "SELFIE"), ("mode", "F9")]),
        (FACES, &[("image", "x"), ("imageType", "SELFIE"), ("face", r#"{"imageType":"ID_DOCUMENT"}"#)]),
        (FACES, &[("image", "x"), ("imageType", "SELFIE"), ("imageRotationEnabled", "1")]),
        (MATCH_IMAGES, &[("referenceImage", "x"), ("referenceImageType", "SELFIE")]),
        (MATCH_IMAGES, &[("candidateImage", "x"), ("candidateImageType", "SELFIE")]),
        (MATCH, &[("candidateImage", "x"), ("candidateImageType", "SELFIE")]),
        (MATCH, &[("candidateImage", "x"), ("candidateImageType", "SELFIE"), ("referenceFace", "{}")]),
    ] {
        let (status, message) = post(gateway.address, path, parts).await.error();
        said += &format!("{status} {message}\n");
    }
    assert_snapshot!(said, @r#"
    400 `image` is missing
    400 `imageType` is missing
    400 `imageType` "selfie" is not known: allowed values are ID_DOCUMENT, SELFIE and VIDEO_FRAME
    400 `mode` "F9" is not known: allowed values are F5_2_VID75, F5_1_VID0, F5_3_VID60, F6_4_VID60X and FL1_512
    400 `imageType` has two different values
    400 `imageRotationEnabled` must be true or false
    400 `candidateImage` is missing
    400 `referenceImage` is missing
    400 `referenceFace` is missing
    400 `referenceFace`: the face has no template
    "#);
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let whole = crate::client::multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]);
    assert_eq!(post_body(gateway.address, FACES, &whole).await.status, 200);
    // A body that ends before the last dashes of the closing boundary is truncated.
    for length in (1..whole.len() - 3).step_by(5) {
        let (status, message) = post_body(gateway.address, FACES, &whole[..length]).await.error();
        assert_eq!(status, 400, "{length}: {message}");
        assert!(message.starts_with("malformed multipart body"), "{length}: {message}");
    }
}

#[tokio::test]
async fn a_workers_refusal_names_the_part() {
    for (failure, status, message) in [
        (
            JobFailure::BadPicture { subject: Subject::Image, reason: "this is not a picture".into() },
            400,
            "`image`: this is not a picture",
        ),
        (JobFailure::SeveralFaces { subject: Subject::Image }, 400, "`image`: more than one face was found"),
        (JobFailure::Internal, 500, "internal error"),
        (
            JobFailure::Expired { age_ms: 40_000 },
            429,
            "the server is currently experiencing high demand, please try again shortly",
        ),
    ] {
        let gateway = Gateway::start(Workers::new(move |_| Err(failure.clone().into()))).await;
        let answer = post(gateway.address, FACES, &[("imageType", "SELFIE"), ("image", "x")]).await;
        assert_eq!(answer.error(), (status, message.to_owned()));
    }
    let nobody = JobFailure::NoFace { subject: Subject::Candidate };
    let gateway = Gateway::start(Workers::new(move |_| Err(nobody.clone().into()))).await;
    let parts = [
        ("referenceImage", "one"),
        ("candidateImage", "two"),
        ("referenceImageType", "SELFIE"),
        ("candidateImageType", "SELFIE"),
    ];
    let answer = post(gateway.address, MATCH_IMAGES, &parts).await;
    assert_eq!(answer.error(), (400, "`candidateImage`: no face was found".to_owned()));
}

#[tokio::test]
async fn a_result_of_another_kind_is_an_internal_error() {
    let gateway = Gateway::start(Workers::new(|_| Ok(JobResult::Coded(coded(None))))).await;
    let parts = [
        ("referenceImage", "one"),
        ("candidateImage", "two"),
        ("referenceImageType", "SELFIE"),
        ("candidateImageType", "SELFIE"),
    ];
    let answer = post(gateway.address, MATCH_IMAGES, &parts).await;
    assert_eq!(answer.error(), (500, "internal error".to_owned()));
}
