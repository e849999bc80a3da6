//! Calls and answers over gRPC.

use std::io::Write as _;

use faceline_gateway::fault::{BusyCause, Fault};
use faceline_gateway::jobs::SubmitError;
use faceline_gateway::proto::JobStatus;
use faceline_gateway::proto::v1::photo_verify_response::AccuracyLevel;
use faceline_gateway::proto::v1::{LivenessDetectionRequest, LivenessDetectionResponse};
use faceline_shared::job::Task;
use faceline_shared::job::examination::{Check, Direction, Examined, Motion};
use faceline_shared::job::{JobFailure, Subject};
use faceline_shared::score::Far;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use uuid::Uuid;

use super::{
    CALL_DETECT, CALL_VERIFY, call_as_demo, client, counted, detection, finding, framed, image, reject,
    verification,
};
use crate::gateway::Gateway;
use crate::workers::Workers;

#[tokio::test]
async fn a_living_person_is_live() {
    let gateway = Gateway::start(Workers::able()).await;
    let answer = client(&gateway).await.liveness_detection(detection(&["one"])).await.unwrap().into_inner();
    assert_eq!((answer.status(), answer.live, answer.liveness_score), (JobStatus::Succeeded, true, 0.75));
    assert!(answer.errors.is_empty());
    let [picture] = &answer.image_properties[..] else { panic!("{answer:?}") };
    assert_eq!((picture.rotated, picture.quality_score, picture.frame_number), (0, 0.875, 0));
    let [face] = &picture.faces[..] else { panic!("{answer:?}") };
    // The person's right eye is on the left of the picture.
    assert_eq!((face.right_eye.unwrap().x, face.left_eye.unwrap().x), (100.5, 160.0));
    assert_eq!((face.texture_liveness_score, face.motion_liveness_score), (0.75, 0.0));

    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Examine(examination) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!((&examination.live[..], examination.liveness), (&["one".into()][..], true));
    assert_eq!((jobs[0].client.as_str(), jobs[0].callers_own_deadline), ("demo", false));
}

#[tokio::test]
async fn two_pictures_are_asked_for_motion_and_tags_for_a_direction() {
    let gateway = Gateway::start(Workers::able()).await;
    let live_images = vec![image("one", &["up"]), image("two", &["Left", "other", ""])];
    let request = LivenessDetectionRequest { live_images };
    let answer = client(&gateway).await.liveness_detection(request).await.unwrap().into_inner();
    assert!(answer.live);
    assert_eq!(answer.liveness_score, (0.75 + 0.75 + 0.9375) / 3.0);
    let moved: Vec<_> = answer
        .image_properties
        .iter()
        .map(|picture| (picture.faces[0].motion_liveness_score, picture.faces[0].movement_direction))
        .collect();
    assert_eq!(moved, [(0.0, 0.0), (0.9375, 180.0)]);
    let jobs = gateway.workers.jobs.lock().unwrap();
    let Task::Examine(examination) = &jobs[0].task else { panic!("{jobs:?}") };
    assert_eq!(examination.challenge, [Direction::Left]);
}

#[tokio::test]
async fn a_photo_is_compared() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut client = client(&gateway).await;
    let answer = client.photo_verify(verification(&["one", "two"])).await.unwrap().into_inner();
    assert_eq!((answer.status(), answer.verification_level()), (JobStatus::Succeeded, AccuracyLevel::Level5));
    assert!(answer.live && answer.errors.is_empty() && answer.photo_properties.is_some());
    assert!((answer.verification_score - 1.0 / 1.1).abs() < 1e-9, "{}", answer.verification_score);

    let mut request = verification(&["one"]);
    request.disable_liveness_detection = true;
    let answer = client.photo_verify(request).await.unwrap().into_inner();
    assert_eq!((answer.live, answer.liveness_score), (false, 0.0));
    assert!(answer.errors.is_empty() && answer.verification_level() == AccuracyLevel::Level5);
    let jobs = gateway.workers.jobs.lock().unwrap();
    let asked = |at: usize| match &jobs[at].task {
        Task::Examine(examination) => (examination.liveness, examination.photo.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!([asked(0), asked(1)], [(true, "the photo".into()), (false, "the photo".into())]);
}

#[tokio::test]
async fn each_level_is_told() {
    for (percentage, expected) in [
        (0.001, AccuracyLevel::Level5),
        (0.01, AccuracyLevel::Level4),
        (0.1, AccuracyLevel::Level3),
        (0.25, AccuracyLevel::Level2),
        (0.5, AccuracyLevel::Level1),
        (0.6, AccuracyLevel::NotRecognized),
    ] {
        let far = Far::from_fraction(percentage / 100.0);
        let gateway = Gateway::start(finding(move |examined| examined.verification = Some(far))).await;
        let answer = client(&gateway).await.photo_verify(verification(&["one"])).await.unwrap().into_inner();
        assert_eq!(answer.verification_level(), expected, "{percentage} %");
        assert!(answer.errors.is_empty() && answer.live && answer.verification_score > 0.0);
    }
}

/// The error codes of a detection with two pictures and these findings. Both operations must return the same codes.
async fn codes(change: impl Fn(&mut Examined) + Send + Sync + 'static) -> Vec<String> {
    let gateway = Gateway::start(finding(change)).await;
    let mut client = client(&gateway).await;
    let detected = client.liveness_detection(detection(&["one", "two"])).await.unwrap().into_inner();
    assert_eq!(detected.status(), JobStatus::Succeeded);
    assert_eq!(detected.live, detected.errors.is_empty());
    let verified = client.photo_verify(verification(&["one", "two"])).await.unwrap().into_inner();
    assert_eq!((verified.status(), &verified.errors), (JobStatus::Succeeded, &detected.errors));
    if !verified.live {
        assert_eq!(verified.verification_level(), AccuracyLevel::NotRecognized);
        assert_eq!((verified.verification_score, verified.photo_properties), (0.0, None));
    }
    detected.errors.into_iter().map(|error| error.error_code).collect()
}

#[tokio::test]
async fn each_reason_has_its_code() {
    assert_eq!(codes(|_| ()).await, [""; 0]);
    assert_eq!(codes(|found| found.live[1].faces.clear()).await, ["FaceNotFound"]);
    assert_eq!(codes(|found| reject(found, 0, Check::FaceBlurred)).await, ["FaceNotFound"]);
    assert_eq!(codes(|found| reject(found, 1, Check::FaceCropped)).await, ["ThumbnailExtractionFailed"]);
    let crowd = |found: &mut Examined| {
        let face = found.live[0].faces[0].clone();
        found.live[0].faces.push(face);
    };
    assert_eq!(codes(crowd).await, ["MultipleFacesFound"]);
    // With two pictures, half the threshold suffices.
    let flat = |found: &mut Examined| found.live[0].faces[0].liveness = Some(0.25);
    assert_eq!(codes(flat).await, ["RejectedByPassiveLiveDetection"]);
    let still = |found: &mut Examined| {
        found.motion = Some(Motion { score: 0.25, direction: None, follows: true });
    };
    assert_eq!(codes(still).await, ["RejectedByActiveLiveDetection"]);
    assert_eq!(codes(|found| found.same_person = Some(false)).await, ["RejectedByActiveLiveDetection"]);
    let elsewhere = |found: &mut Examined| {
        found.motion = Some(Motion { score: 0.75, direction: Some(90.0), follows: false });
    };
    assert_eq!(codes(elsewhere).await, ["RejectedByChallengeResponse"]);
}

#[tokio::test]
async fn a_photo_without_a_face_is_not_recognised() {
    let gateway = Gateway::start(finding(|found| {
        found.photo.iter_mut().for_each(|photo| photo.faces.clear());
        found.verification = None;
    }))
    .await;
    let answer = client(&gateway).await.photo_verify(verification(&["one"])).await.unwrap().into_inner();
    let codes: Vec<_> = answer.errors.iter().map(|error| error.error_code.as_str()).collect();
    assert_eq!((codes, answer.live), (vec!["FaceNotFound"], true));
    assert_eq!((answer.verification_level(), answer.verification_score), (AccuracyLevel::NotRecognized, 0.0));
    assert!(answer.photo_properties.is_some());
}

#[tokio::test]
async fn two_people_are_not_recognised_without_liveness_either() {
    let gateway = Gateway::start(finding(|found| found.same_person = Some(false))).await;
    let mut request = verification(&["one", "two"]);
    request.disable_liveness_detection = true;
    let answer = client(&gateway).await.photo_verify(request).await.unwrap().into_inner();
    assert_eq!((answer.verification_level(), answer.verification_score), (AccuracyLevel::NotRecognized, 0.0));
    assert!(answer.errors.is_empty() && answer.photo_properties.is_some());
}

#[tokio::test]
async fn what_is_told_besides_stands_before_and_behind_the_message() {
    let gateway = Gateway::start(Workers::able()).await;
    for (reference, echoed) in [(Some("job, \"17\""), "job, \"17\""), (Some(""), ""), (None, "")] {
        let headers: Vec<_> =
            reference.map(|reference| ("reference-number", reference)).into_iter().collect();
        let answer = call_as_demo(&gateway, CALL_DETECT, &headers, framed(&detection(&["one"]))).await;
        assert_eq!((answer.status, answer.grpc().code()), (200, Code::Ok));
        let trailer = |name: &str| answer.trailers[name].to_str().unwrap().to_owned();
        let job = gateway.workers.jobs.lock().unwrap().last().unwrap().id;
        assert_eq!(trailer("jobid").parse::<Uuid>().unwrap(), job);
        assert_eq!(trailer("bws-version"), env!("CARGO_PKG_VERSION"));
        assert!(trailer("response-time-ms").parse::<u64>().is_ok());
        assert_eq!(trailer("reference-number"), echoed);
        for name in ["jobid", "bws-version", "reference-number"] {
            assert_eq!(answer.headers[name], answer.trailers[name], "{name}");
        }
        for name in ["response-time-ms", "date", "x-request-id", "ratelimit-limit"] {
            assert!(answer.headers.contains_key(name), "{name}");
        }
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert!(LivenessDetectionResponse::decode(&answer.body[5..]).unwrap().live);
    }
}

#[tokio::test]
async fn messages_may_be_compressed_both_ways() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut client = client(&gateway)
        .await
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let answer = client.liveness_detection(detection(&["one"])).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert!(answer.into_inner().live);
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

/// Code and message of a refused liveness detection.
async fn invalid(gateway: &Gateway, request: LivenessDetectionRequest) -> (Code, String) {
    let status = client(gateway).await.liveness_detection(request).await.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn what_cannot_be_used_is_an_invalid_argument() {
    let undecodable = Gateway::start(Workers::new(|_| {
        let reason = "not an image".to_owned();
        Err(SubmitError::Failed(JobFailure::BadPicture { subject: Subject::Live(1), reason }))
    }))
    .await;
    let (code, message) = invalid(&undecodable, detection(&["one", "two"])).await;
    assert_eq!(
        (code, message.as_str()),
        (Code::InvalidArgument, "The live image 2 cannot be decoded: not an image.")
    );

    let gateway = Gateway::start(Workers::able()).await;
    for (images, expected) in [
        (&[][..], "No live images have been provided."),
        (&["a", "b", "c"], "Too many images have been provided."),
        (&["a", ""], "The live image 2 is empty."),
    ] {
        let (code, message) = invalid(&gateway, detection(images)).await;
        assert_eq!(code, Code::InvalidArgument);
        assert!(message.starts_with(expected), "{message}");
    }
    let mut request = verification(&["one"]);
    request.photo.clear();
    let status = client(&gateway).await.photo_verify(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "No photo has been provided."));
    for (headers, body) in [
        (&[][..], &b""[..]),
        (&[], b"\0\0\0\0\x03abc"),
        (&[], b"\0\0\0\0\x09abc"),
        (&[], b"\x01\0\0\0\x03abc"),
        (&[("grpc-encoding", "gzip")], b"\x01\0\0\0\x03abc"),
        (&[("grpc-timeout", "soon")], b"\0\0\0\0\0"),
    ] {
        let answer = call_as_demo(&gateway, CALL_DETECT, headers, body).await;
        assert_eq!((answer.status, answer.grpc().code()), (200, Code::InvalidArgument), "{body:?}");
        assert!(!answer.grpc().message().is_empty());
    }
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
    counted(&gateway, "faceline_gateway_inflight_jobs 0");
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
    counted(&gateway, r#"faceline_http_requests_total{operation="liveness_detection",status="400"} 9"#);
}

#[tokio::test]
async fn fifty_megabytes_are_taken_and_no_more() {
    let gateway = Gateway::start(Workers::able()).await;
    let of = |length: usize| LivenessDetectionRequest {
        live_images: vec![faceline_gateway::proto::ImageData {
            image: vec![7; length].into(),
            tags: Vec::new(),
        }],
    };
    let largest = (50 << 20) - 20;
    assert!(client(&gateway).await.liveness_detection(of(largest)).await.unwrap().into_inner().live);
    {
        let jobs = gateway.workers.jobs.lock().unwrap();
        let Task::Examine(examination) = &jobs[0].task else { panic!("an examination") };
        assert_eq!(examination.live[0].len(), largest);
    }
    let (code, message) = invalid(&gateway, of(51 << 20)).await;
    assert_eq!(code, Code::InvalidArgument, "{message}");

    // A decompression bomb: the limit applies to the decompressed size.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&of(60 << 20).encode_to_vec()).unwrap();
    let small = encoder.finish().unwrap();
    assert!(small.len() < 1 << 20);
    let framed = [&[1][..], &u32::try_from(small.len()).unwrap().to_be_bytes(), &small].concat();
    let answer = call_as_demo(&gateway, CALL_DETECT, &[("grpc-encoding", "gzip")], framed).await;
    assert_eq!(answer.grpc().code(), Code::InvalidArgument);
    assert!(answer.grpc().message().contains("too big"), "{:?}", answer.grpc());
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn what_is_not_there_is_not_implemented() {
    let gateway = Gateway::start(Workers::able()).await;
    for (path, headers) in [
        ("/bioid.services.v1.BioIDWebService/Nothing", &[][..]),
        ("/some.other.Service/Call", &[]),
        ("/grpc.health.v1.Health/List", &[]),
        (CALL_DETECT, &[("grpc-encoding", "br")]),
    ] {
        let answer = call_as_demo(&gateway, path, headers, &b"\0\0\0\0\0"[..]).await;
        assert_eq!((answer.status, answer.grpc().code()), (200, Code::Unimplemented), "{path}");
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }
    let answer = call_as_demo(&gateway, CALL_DETECT, &[("grpc-encoding", "br")], &b"\0\0\0\0\0"[..]).await;
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip");
    for kind in ["application/json", "application/grpc-web", "text/plain"] {
        let answer = call_as_demo(&gateway, CALL_VERIFY, &[("content-type", kind)], &b"{}"[..]).await;
        assert_eq!((answer.status, answer.grpc().code()), (415, Code::InvalidArgument), "{kind}");
    }
}

#[tokio::test]
async fn what_goes_wrong_inside_has_its_status() {
    for (error, code) in [
        (SubmitError::Failed(JobFailure::Internal), Code::Internal),
        (SubmitError::Failed(JobFailure::BlobLost), Code::Unavailable),
        (Fault::DeadlineRunning { callers_own: true }.into(), Code::DeadlineExceeded),
        (SubmitError::Busy(BusyCause::DeadlineQueued { callers_own: true }), Code::DeadlineExceeded),
        (SubmitError::Busy(BusyCause::DeadlineQueued { callers_own: false }), Code::Unavailable),
        (SubmitError::Busy(BusyCause::QueueFull), Code::Unavailable),
        (SubmitError::Busy(BusyCause::NoWorker), Code::Unavailable),
        (SubmitError::Busy(BusyCause::BrokerUnreachable), Code::Unavailable),
        (SubmitError::Busy(BusyCause::StoreUnreachable), Code::Unavailable),
    ] {
        let said = error.clone();
        let gateway = Gateway::start(Workers::new(move |_| Err(said.clone()))).await;
        let answer = call_as_demo(&gateway, CALL_DETECT, &[], framed(&detection(&["one"]))).await;
        assert_eq!(answer.grpc().code(), code, "{error:?}");
        assert!(!answer.grpc().message().is_empty());
    }
    // A result of another kind of job.
    let gateway = Gateway::start(finding(|found| found.live.clear())).await;
    let answer = call_as_demo(&gateway, CALL_DETECT, &[], framed(&detection(&["one"]))).await;
    assert_eq!((answer.grpc().code(), answer.grpc().message()), (Code::Internal, "internal error"));
}
