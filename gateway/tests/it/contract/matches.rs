//! Matches within a session.

use faceline_shared::face::{CodedFace, Embedding};
use faceline_shared::job::Task;
use faceline_shared::job::{JobFailure, JobResult};
use faceline_shared::score::Far;
use insta::assert_snapshot;

use super::contract;
use crate::client::get;
use crate::gateway::{Gateway, SESSIONS};
use crate::signed::assert_signed;
use crate::workers::{Workers, answer, coded, face};

contract! {
    the_best_match_comes_first: [
        ("GetMatches", 200, [
            "reference", "candidate", "score", "falseAcceptanceRate", "correlationId", "evidenceId", "created",
            "expires", "signature",
        ]),
    ];
    a_single_face_has_no_matches: [("GetMatches", 200)];
    a_candidate_without_a_face_scores_nothing: [("GetMatches", 200, ["score", "falseAcceptanceRate"])];
    a_reference_without_a_face_is_refused: [("GetMatches", 400)];
    faces_of_an_earlier_algorithm_are_not_compared: [("GetMatches", 400), ("GetMatches", 200, ["score"])];
    who_is_not_there_has_no_matches: [("GetMatches", 404)];
    matches_that_the_workers_cannot_make_are_an_internal_error: [("GetMatches", 500)];
}

/// Workers that rank candidates by these scores.
fn ranking(scores: &'static [f64]) -> std::sync::Arc<Workers> {
    Workers::new(move |job| match &job.task {
        Task::Rank(ranking) => {
            assert_eq!(ranking.candidates.len(), scores.len());
            let far = |score: &f64| Far::from_log10((1500.0 - score) / 500.0);
            Ok(JobResult::Ranked(scores.iter().map(far).collect()))
        }
        Task::Code(picture) if picture.picture == "nobody" => Ok(JobResult::Coded(coded(None))),
        _ => Ok(answer(job)),
    })
}

fn matches(session: uuid::Uuid, face: uuid::Uuid) -> String {
    format!("{SESSIONS}/{session}/faces/{face}/matches")
}

async fn the_best_match_comes_first() {
    let gateway = Gateway::start(ranking(&[2000.0, 7771.43408203125, 3000.0])).await;
    let session = gateway.session(r#"{"correlationId":"c-1","evidenceId":"e-1"}"#).await;
    let mut faces = Vec::new();
    for name in ["first", "reference", "second", "third"] {
        faces.push(gateway.face(session, name).await);
    }
    let answer = get(gateway.address, &matches(session, faces[1])).await;
    assert_eq!(answer.status, 200);
    let list = answer.json();
    let candidates: Vec<&str> =
        list.as_array().unwrap().iter().map(|entry| entry["candidate"]["id"].as_str().unwrap()).collect();
    // The scores were given in the order of the faces, without the reference.
    assert_eq!(candidates, [faces[2].to_string(), faces[3].to_string(), faces[0].to_string()]);
    assert_snapshot!(answer.scrubbed().split_inclusive("},{\"reference").next().unwrap(), @r#"[{"reference":{"id":"…","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"candidate":{"id":"…","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581},"box":{"x":900,"y":1500,"width":1000,"height":1200}}},"score":7771.43408203125,"falseAcceptanceRate":2.8650475616752697e-11,"correlationId":"c-1","evidenceId":"e-1","created":"…","expires":"…","signature":"…"},{"reference"#);
    for entry in list.as_array().unwrap() {
        assert_eq!(entry["reference"]["id"], faces[1].to_string());
    }
    assert_signed(&gateway, &answer.body);
    let session = get(gateway.address, &format!("{SESSIONS}/{session}")).await;
    assert_eq!(list[0]["expires"], session.json()["expires"]);

    let jobs = gateway.workers.jobs.lock().unwrap();
    assert_eq!(jobs.iter().filter(|job| matches!(job.task, Task::Rank(_))).count(), 1);
}

async fn a_single_face_has_no_matches() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let face = gateway.face(session, "x").await;
    let answer = get(gateway.address, &matches(session, face)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[]"));
}

async fn a_candidate_without_a_face_scores_nothing() {
    let gateway = Gateway::start(ranking(&[1600.0])).await;
    let session = gateway.session("").await;
    let reference = gateway.face(session, "x").await;
    let nobody = gateway.face(session, "nobody").await;
    let somebody = gateway.face(session, "y").await;
    let list = get(gateway.address, &matches(session, reference)).await.json();
    assert_eq!(list[0]["candidate"]["id"], somebody.to_string());
    assert_eq!(list[1]["candidate"]["id"], nobody.to_string());
    assert_eq!((&list[1]["score"], &list[1]["falseAcceptanceRate"]), (&0.into(), &100.into()));
    assert_eq!(list[1]["candidate"]["quality"], -10_000);
}

async fn a_reference_without_a_face_is_refused() {
    let gateway = Gateway::start(ranking(&[])).await;
    let session = gateway.session("").await;
    let nobody = gateway.face(session, "nobody").await;
    let refused = (400, "the reference face has no template".to_owned());
    assert_eq!(get(gateway.address, &matches(session, nobody)).await.error(), refused);
    gateway.face(session, "x").await;
    assert_eq!(get(gateway.address, &matches(session, nobody)).await.error(), refused);
}

async fn faces_of_an_earlier_algorithm_are_not_compared() {
    let before = Gateway::start(Workers::able()).await;
    let session = before.session("").await;
    let old = before.face(session, "x").await;
    let newer = Workers::new(|job| {
        let embedding = Embedding::new("FL1_512", 2, &[0.6, 0.8]);
        match &job.task {
            Task::Code(_) => Ok(JobResult::Coded(coded(Some(CodedFace { embedding, ..face() })))),
            _ => Ok(answer(job)),
        }
    });
    let after = Gateway::over(before.stores.clone(), newer, |config| config.face.template_version = 2).await;
    let new = after.face(session, "y").await;
    let list = get(after.address, &matches(session, new)).await.json();
    assert_eq!((&list[0]["candidate"]["id"], &list[0]["score"]), (&old.to_string().into(), &0.into()));
    let refused = get(after.address, &matches(session, old)).await.error();
    let expected = "the reference face: the template was made by FL1_512 version 1, and this service uses FL1_512 version 2";
    assert_eq!(refused, (400, expected.into()));
}

async fn who_is_not_there_has_no_matches() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let nobody = uuid::Uuid::new_v4();
    let answer = get(gateway.address, &matches(session, nobody)).await;
    assert_eq!(answer.error(), (404, "Face not found".into()));
    let answer = get(gateway.address, &matches(nobody, nobody)).await;
    assert_eq!(answer.error(), (404, "Session not found".into()));
}

async fn matches_that_the_workers_cannot_make_are_an_internal_error() {
    let workers = Workers::new(|job| match &job.task {
        Task::Rank(ranking) if ranking.candidates.len() == 1 => Err(JobFailure::Internal.into()),
        // The result has one rate too few.
        Task::Rank(ranking) => Ok(JobResult::Ranked(vec![Far::ONE; ranking.candidates.len() - 1])),
        _ => Ok(answer(job)),
    });
    let gateway = Gateway::start(workers).await;
    let session = gateway.session("").await;
    let reference = gateway.face(session, "x").await;
    for candidate in ["y", "z"] {
        gateway.face(session, candidate).await;
        let answer = get(gateway.address, &matches(session, reference)).await;
        assert_eq!(answer.error(), (500, "internal error".into()));
    }
}
