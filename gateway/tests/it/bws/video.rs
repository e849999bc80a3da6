//! Liveness detection in videos, over gRPC and REST.

use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use faceline_gateway::fault::BusyCause;
use faceline_gateway::jobs::SubmitError;
use faceline_gateway::proto::JobStatus;
use faceline_gateway::proto::v1::{LivenessDetectionResponse, VideoLivenessDetectionRequest};
use faceline_shared::broker::Queue;
use faceline_shared::job::replay::{FailedReason, ReplayError, SpoofReason, Verdict};
use faceline_shared::job::{JobFailure, JobResult, Task, VideoExamined};
use faceline_shared::liveness::SecurityLevel;
use serde_json::json;
use tonic::Code;

use super::{
    CALL_DETECT, CALL_DETECT_VIDEO, DETECT_VIDEO, authorization, call_as_demo, client, counted, detection,
    framed, post, refused,
};
use crate::client::send;
use crate::gateway::Gateway;
use crate::workers::{Workers, living_video};

fn request(video: &'static str) -> VideoLivenessDetectionRequest {
    VideoLivenessDetectionRequest { video: video.into() }
}

/// Workers with these findings for a video.
fn finding(change: impl Fn(&mut VideoExamined) + Send + Sync + 'static) -> std::sync::Arc<Workers> {
    Workers::new(move |job| {
        assert!(matches!(job.task, Task::ExamineVideo(_)), "{job:?}");
        let mut found = living_video();
        change(&mut found);
        Ok(JobResult::VideoExamined(Box::new(found)))
    })
}

async fn call(gateway: &Gateway) -> LivenessDetectionResponse {
    client(gateway).await.video_liveness_detection(request("a video")).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_video_is_judged_by_the_configured_level_and_both_ways_answer_alike() {
    let gateway = Gateway::with(finding(|_| ()), |config| {
        config.liveness.security_level = SecurityLevel::Low;
    })
    .await;
    let answer = call(&gateway).await;
    assert_eq!((answer.status(), answer.live, answer.liveness_score), (JobStatus::Succeeded, true, 0.8125));
    assert!(answer.errors.is_empty());
    let numbers: Vec<_> = answer.image_properties.iter().map(|image| image.frame_number).collect();
    assert_eq!(numbers, [0, 25, 50, 75, 100, 125, 150]);
    let face = &answer.image_properties[1].faces[0];
    assert_eq!((face.texture_liveness_score, face.motion_liveness_score), (0.75, 0.0));
    assert_eq!(face.left_eye.map(|eye| eye.x), Some(160.0));

    let rest = post(&gateway, DETECT_VIDEO, &json!({"video": STANDARD.encode_to_string("a video")})).await;
    assert_eq!(rest.status, 200, "{rest:?}");
    let said = rest.json();
    assert_eq!((&said["status"], &said["live"]), (&json!("SUCCEEDED"), &json!(true)));
    assert_eq!((&said["errors"], &said["livenessScore"]), (&json!([]), &json!(0.8125)));
    assert_eq!(said["imageProperties"][6]["frameNumber"], 150);

    let jobs = gateway.workers.jobs.lock().unwrap();
    assert_eq!(jobs.len(), 2);
    for job in jobs.iter() {
        let Task::ExamineVideo(examination) = &job.task else { panic!("{job:?}") };
        assert_eq!((&examination.video[..], examination.level), (&b"a video"[..], SecurityLevel::Low));
        assert_eq!(job.task.queue(), Queue::Replay);
        assert_eq!((job.budget, job.callers_own_deadline), (gateway.config.jobs.video_deadline, false));
    }
    counted(&gateway, r#"faceline_http_requests_total{operation="video_liveness_detection",status="200"} 2"#);
}

#[tokio::test]
async fn what_a_video_shows_has_its_code() {
    for (verdict, code) in [
        (Verdict::Spoof(SpoofReason::Presentation), "RejectedByPassiveLiveDetection"),
        (Verdict::Spoof(SpoofReason::Loop), "RejectedByActiveLiveDetection"),
        (Verdict::Spoof(SpoofReason::SecondPerson), "MultipleFacesFound"),
        (Verdict::Failed(FailedReason::TooShort), "FailureToAcquire"),
    ] {
        let gateway = Gateway::start(finding(move |found| {
            found.verdict = verdict;
            found.liveness = None;
        }))
        .await;
        let answer = call(&gateway).await;
        assert_eq!((answer.status(), answer.live, answer.liveness_score), (JobStatus::Succeeded, false, 0.0));
        assert_eq!(answer.errors[0].error_code, code);
        let rest = post(&gateway, DETECT_VIDEO, &json!({"video": "AAAA"})).await;
        assert_eq!(rest.json()["errors"][0]["errorCode"], code);
    }
}

#[tokio::test]
async fn a_request_without_a_video_makes_no_job() {
    let gateway = Gateway::start(finding(|_| ())).await;
    let status = client(&gateway).await.video_liveness_detection(request("")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "No video has been provided."));
    for body in [json!({}), json!({"video": null}), json!({"video": ""}), json!({"video": 7}), json!([])] {
        let answer = post(&gateway, DETECT_VIDEO, &body).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (400, 3), "{body}");
    }
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn a_bad_video_is_the_callers_fault_and_a_lost_one_is_not() {
    for (failure, code, status) in [
        (ReplayError::UnsupportedFormat, Code::InvalidArgument, 400),
        (ReplayError::UnsupportedCodec, Code::InvalidArgument, 400),
        (ReplayError::Malformed, Code::InvalidArgument, 400),
        (ReplayError::TooLong, Code::InvalidArgument, 400),
        (ReplayError::TooLarge, Code::InvalidArgument, 400),
        (ReplayError::TooExpensive, Code::InvalidArgument, 400),
        (ReplayError::Internal, Code::Internal, 500),
        (ReplayError::Lost, Code::Internal, 500),
    ] {
        let workers = Workers::new(move |_| Err(SubmitError::Failed(JobFailure::BadVideo(failure))));
        let gateway = Gateway::start(workers).await;
        let said = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], framed(&request("a video"))).await.grpc();
        assert_eq!(said.code(), code, "{failure:?}");
        if status == 400 {
            assert_eq!(said.message(), format!("The video cannot be decoded: {failure}."));
        }
        let answer = post(&gateway, DETECT_VIDEO, &json!({"video": "AAAA"})).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code as u64), "{failure:?}");
        assert_eq!(refused(&answer).2, said.message());
    }
}

#[tokio::test]
async fn an_answer_to_something_else_is_internal() {
    let gateway = Gateway::start(Workers::new(|_| Ok(JobResult::Ranked(Vec::new())))).await;
    let said = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], framed(&request("a video"))).await.grpc();
    assert_eq!((said.code(), said.message()), (Code::Internal, "internal error"));
}

#[tokio::test]
async fn a_video_of_fifty_megabytes_passes_and_a_longer_one_does_not() {
    let gateway = Gateway::start(finding(|_| ())).await;
    let of = |bytes: usize| framed(&VideoLivenessDetectionRequest { video: vec![7; bytes].into() });
    // Field number and length take five bytes.
    let longest = (50 << 20) - 5;
    for (bytes, code) in [(longest, Code::Ok), (longest + 1, Code::InvalidArgument)] {
        let said = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], of(bytes)).await.grpc();
        assert_eq!(said.code(), code, "{bytes}");
    }
    let authorization = authorization();
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let body = format!(r#"{{"video":"{}"}}"#, STANDARD.encode_to_string(vec![7; 50 << 20]));
    let answer = send(gateway.address, &format!("POST {DETECT_VIDEO}"), &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn videos_have_places_of_their_own() {
    let gateway = Gateway::with(Workers::held(), |config| {
        config.limits.inflight_jobs = 1;
        config.limits.inflight_videos = 1;
        config.limits.client_share = 1.0;
    })
    .await;
    let mut first = client(&gateway).await;
    let video = tokio::spawn(async move { first.video_liveness_detection(request("a video")).await });
    gateway.workers.arrived.notified().await;
    // The only slot for videos is taken; the one for pictures is free.
    let second = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], framed(&request("another"))).await;
    assert_eq!(second.grpc().code(), Code::Unavailable);
    let answer = post(&gateway, DETECT_VIDEO, &json!({"video": "AAAA"})).await;
    assert_eq!((refused(&answer).0, refused(&answer).1), (503, 14));
    let mut other = client(&gateway).await;
    let picture = tokio::spawn(async move { other.liveness_detection(detection(&["one"])).await });
    gateway.workers.arrived.notified().await;
    let third = call_as_demo(&gateway, CALL_DETECT, &[], framed(&detection(&["one"]))).await;
    assert_eq!(third.grpc().code(), Code::Unavailable);
    gateway.workers.permits.add_permits(2);
    assert!(video.await.unwrap().is_ok() && picture.await.unwrap().is_ok());
    let again = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], framed(&request("another")));
    gateway.workers.permits.add_permits(1);
    assert_eq!(again.await.grpc().code(), Code::Ok);
}

#[tokio::test]
async fn a_callers_deadline_and_an_outage_are_told_as_for_pictures() {
    let gateway = Gateway::start(finding(|_| ())).await;
    let body = framed(&request("a video"));
    let answer = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[("grpc-timeout", "40S")], body.clone()).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    {
        let jobs = gateway.workers.jobs.lock().unwrap();
        // The budget is longer than that of a picture, and within that of a video.
        assert!(jobs[0].callers_own_deadline && jobs[0].budget > gateway.config.jobs.deadline);
        assert!(jobs[0].budget <= Duration::from_secs(40));
    }
    for (cause, code) in [
        (BusyCause::NoWorker, Code::Unavailable),
        (BusyCause::QueueFull, Code::Unavailable),
        (BusyCause::DeadlineQueued { callers_own: true }, Code::DeadlineExceeded),
        (BusyCause::StoreUnreachable, Code::Unavailable),
    ] {
        let gateway = Gateway::start(Workers::new(move |_| Err(SubmitError::Busy(cause)))).await;
        let answer = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], body.clone()).await;
        assert_eq!(answer.grpc().code(), code, "{cause:?}");
    }
    let empty = call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], Bytes::new()).await;
    assert_eq!(empty.grpc().code(), Code::InvalidArgument);
}
