//! Estimates of ages.

use faceline_shared::face::{ImageType, QUALITY_NOBODY};
use faceline_shared::job::Task;
use faceline_shared::job::{AgedPicture, JobFailure, JobResult};
use insta::assert_snapshot;

use super::contract;
use crate::client::post;
use crate::gateway::Gateway;
use crate::signed::assert_signed;
use crate::workers::Workers;

contract! {
    an_age_is_estimated: [
        ("CreateDirectAgeFromImage", 200, [
            "image", "age", "threshold", "imageType", "imageRotationEnabled", "correlationId", "evidenceId", "id",
            "aboveThreshold", "ageEstimated", "digest", "quality", "created", "signature",
        ]),
    ];
    an_age_needs_no_signature: [("CreateDirectAgeFromImage", 200, ["signatureDisabled"])];
    nobody_has_no_age: [("CreateDirectAgeFromImage", 200, ["quality", "threshold"])];
    what_is_asked_must_be_of_the_form: [("CreateDirectAgeFromImage", 400, ["threshold", "imageType", "age"])];
    a_picture_may_be_too_large: [("CreateDirectAgeFromImage", 413)];
    there_may_be_no_room: [("CreateDirectAgeFromImage", 429)];
    workers_may_fail: [("CreateDirectAgeFromImage", 500)];
}

const AGES: &str = "/bioserver-app/v2/ages";
const DIGEST: &str = "94d1b6ff2acf368c3e0ccaebe1d8e447ed1ccd7b596dc5cac3c13a4822b256c6";

fn aged(quality: i32, age: Option<f32>) -> std::sync::Arc<Workers> {
    Workers::new(move |_| Ok(JobResult::Aged(AgedPicture { digest: DIGEST.into(), quality, age })))
}

async fn an_age_is_estimated() {
    let gateway = Gateway::start(aged(212, Some(23.1234))).await;
    let age = r#"{"threshold":18,"imageType":"VIDEO_FRAME","imageRotationEnabled":"true"}"#;
    let parts = [("image", "x"), ("age", age), ("correlationId", "\"c-1\""), ("evidenceId", "e-1")];
    let answer = post(gateway.address, AGES, &parts).await;
    assert_eq!(answer.status, 200);
    assert_snapshot!(answer.scrubbed(), @r#"{"id":"…","aboveThreshold":true,"ageEstimated":23.1,"threshold":18,"digest":"94d1b6ff2acf368c3e0ccaebe1d8e447ed1ccd7b596dc5cac3c13a4822b256c6","imageType":"VIDEO_FRAME","quality":212,"created":"…","signature":"…"}"#);
    assert_signed(&gateway, &answer.body);
    {
        let jobs = gateway.workers.jobs.lock().unwrap();
        let Task::EstimateAge(picture) = &jobs[0].task else { panic!("{jobs:?}") };
        assert_eq!((picture.image_type, picture.rotate), (ImageType::VideoFrame, true));
    }
    // Equal counts as above: the gateway compares the rounded age.
    for (threshold, expected) in [("23", true), ("24", false)] {
        let answer = post(gateway.address, AGES, &[("image", "x"), ("threshold", threshold)]).await;
        assert_eq!(answer.json()["aboveThreshold"], expected);
        assert_eq!(answer.json()["imageType"], "SELFIE");
    }
    let exactly = Gateway::start(aged(212, Some(17.96))).await;
    let answer = post(exactly.address, AGES, &[("image", "x"), ("threshold", "18")]).await;
    assert_eq!(
        (&answer.json()["ageEstimated"], &answer.json()["aboveThreshold"]),
        (&18.into(), &true.into())
    );
}

async fn an_age_needs_no_signature() {
    let gateway = Gateway::start(aged(212, Some(23.0))).await;
    for age in
        [r#"{"threshold":18,"signatureDisabled":"true"}"#, r#"{"threshold":"18","signatureDisabled":true}"#]
    {
        let answer = post(gateway.address, AGES, &[("image", "x"), ("age", age)]).await;
        assert!(answer.json().get("signature").is_none(), "{answer:?}");
    }
}

async fn nobody_has_no_age() {
    let gateway = Gateway::start(aged(QUALITY_NOBODY, None)).await;
    let answer = post(gateway.address, AGES, &[("image", "x"), ("age", r#"{"threshold":18}"#)]).await;
    assert_eq!(answer.status, 200);
    assert_snapshot!(answer.scrubbed(), @r#"{"id":"…","threshold":18,"digest":"94d1b6ff2acf368c3e0ccaebe1d8e447ed1ccd7b596dc5cac3c13a4822b256c6","imageType":"SELFIE","quality":-10000,"created":"…","signature":"…"}"#);
    let badly_seen = Gateway::start(aged(-20, None)).await;
    let answer = post(badly_seen.address, AGES, &[("image", "x"), ("age", r#"{"threshold":18}"#)]).await;
    assert_eq!(answer.json()["quality"], -20);
    assert!(answer.json().get("ageEstimated").is_none() && answer.json().get("aboveThreshold").is_none());
}

async fn what_is_asked_must_be_of_the_form() {
    let gateway = Gateway::start(aged(212, Some(23.0))).await;
    for (parts, expected) in [
        (&[("image", "x")][..], "`threshold` is missing"),
        (&[("threshold", "18")], "`image` is missing"),
        (&[("image", "x"), ("threshold", "-1")], "`threshold` must be 0 to 150"),
        (&[("image", "x"), ("threshold", "151")], "`threshold` must be 0 to 150"),
        (&[("image", "x"), ("age", r#"{"threshold":18.5}"#)], "`threshold` must be a whole number"),
        (
            &[("image", "x"), ("age", r#"{"threshold":18}"#), ("threshold", "21")],
            "`threshold` has two different values",
        ),
        (
            &[("image", "x"), ("threshold", "18"), ("imageType", "ID_DOCUMENT")],
            "`imageType` must be SELFIE or VIDEO_FRAME here",
        ),
        (
            &[("image", "x"), ("threshold", "18"), ("imageType", "CAT")],
            "`imageType` \"CAT\" is not known: allowed values are ID_DOCUMENT, SELFIE and VIDEO_FRAME",
        ),
    ] {
        assert_eq!(post(gateway.address, AGES, parts).await.error(), (400, expected.into()));
    }
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
}

async fn a_picture_may_be_too_large() {
    let gateway = Gateway::with(aged(212, None), |config| config.limits.picture_bytes = 100).await;
    let parts = [("threshold", "18"), ("image", &"x".repeat(101))];
    assert_eq!(post(gateway.address, AGES, &parts).await.error().0, 413);
}

async fn there_may_be_no_room() {
    let gateway = Gateway::with(aged(212, None), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let parts = [("threshold", "18"), ("image", "x")];
    assert_eq!(post(gateway.address, AGES, &parts).await.status, 200);
    assert_eq!(post(gateway.address, AGES, &parts).await.error().0, 429);
}

async fn workers_may_fail() {
    let gateway = Gateway::start(Workers::new(|_| Err(JobFailure::Internal.into()))).await;
    let parts = [("threshold", "18"), ("image", "x")];
    assert_eq!(post(gateway.address, AGES, &parts).await.error(), (500, "internal error".into()));
}
