//! Routes of BWS: over gRPC, and their twins over REST.

mod json;

use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::extract::{self, Request};
use axum::response::Response;
use axum::routing::post;
use faceline_shared::job::JobId;
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use tokio::time::{Instant, timeout_at};

use self::json::{DetectionBody, VerificationBody};
use super::operation;
use crate::accounts::Permission;
use crate::families::bws::answer::{LivenessDetection, PhotoVerify};
use crate::families::bws::{Detection, Verification};
use crate::http::answer::family::Family;
use crate::http::intake::receive::{Received, WholeBody, Work, receive_bare, receive_whole};
use crate::http::{State, answer, grpc};
use crate::proto::v1::{
    LivenessDetectionRequest, LivenessDetectionResponse, PhotoVerifyRequest, PhotoVerifyResponse,
};
use crate::request::RequestContext;

type Shared = extract::State<Arc<State>>;

const JOB_ID: HeaderName = HeaderName::from_static("jobid");
const VERSION: HeaderName = HeaderName::from_static("bws-version");
const RESPONSE_TIME: HeaderName = HeaderName::from_static("response-time-ms");
const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");

/// A body of gRPC. What is compressed in it takes room of its own.
const GRPC_BODY: WholeBody =
    WholeBody { limit: grpc::LONGEST + grpc::PREFIX, room: |bytes| bytes, check: grpc::require_grpc };
/// A body of JSON.
const JSON_BODY: WholeBody = WholeBody::json(70 << 20);

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(operation::LIVENESS_DETECTION, post(detect_liveness))
        .route(operation::PHOTO_VERIFY, post(verify_photo))
        .route(operation::VIDEO_LIVENESS_DETECTION, post(detect_video_liveness))
        .route(operation::GRPC_LIVENESS_DETECTION, post(call_liveness_detection))
        .route(operation::GRPC_PHOTO_VERIFY, post(call_photo_verify))
        .route(operation::GRPC_VIDEO_LIVENESS_DETECTION, post(call_video_liveness_detection))
}

async fn detect_liveness(extract::State(state): Shared, request: Request) -> Response {
    let about = About::of(&request);
    let answered = async {
        let (request, received) =
            receive_json::<DetectionBody>(&state, request, Permission::LivenessDetect).await?;
        about.json(&received.context, &detected(&state, request, &received.context).await?)
    };
    answered.await.unwrap_or_else(|fault| answer::refused(&fault, Family::Bws))
}

async fn verify_photo(extract::State(state): Shared, request: Request) -> Response {
    let about = About::of(&request);
    let answered = async {
        let (request, received) =
            receive_json::<VerificationBody>(&state, request, Permission::PhotosVerify).await?;
        about.json(&received.context, &verified(&state, request, &received.context).await?)
    };
    answered.await.unwrap_or_else(|fault| answer::refused(&fault, Family::Bws))
}

async fn detect_video_liveness(extract::State(state): Shared, request: Request) -> Response {
    answer::refused(&no_videos(&state, request).await, Family::Bws)
}

async fn call_liveness_detection(extract::State(state): Shared, request: Request) -> Response {
    let answered = unary(&state, request, Permission::LivenessDetect, async |request, context| {
        let request: LivenessDetectionRequest = request;
        detected(&state, request, context).await.map(LivenessDetectionResponse::from)
    });
    Box::pin(answered).await
}

async fn call_photo_verify(extract::State(state): Shared, request: Request) -> Response {
    let answered = unary(&state, request, Permission::PhotosVerify, async |request, context| {
        let request: PhotoVerifyRequest = request;
        verified(&state, request, context).await.map(PhotoVerifyResponse::from)
    });
    Box::pin(answered).await
}

async fn call_video_liveness_detection(extract::State(state): Shared, request: Request) -> Response {
    answer::refused(&no_videos(&state, request).await, Family::Grpc)
}

async fn detected(
    state: &State,
    request: impl Into<Detection>,
    context: &RequestContext,
) -> Result<LivenessDetection, Fault> {
    state.bws.detect_liveness(request.into(), context).await
}

async fn verified(
    state: &State,
    request: impl Into<Verification>,
    context: &RequestContext,
) -> Result<PhotoVerify, Fault> {
    state.bws.verify_photo(request.into(), context).await
}

/// Why there is no answer to a video.
async fn no_videos(state: &State, request: Request) -> Fault {
    match receive_bare(state, request, Permission::LivenessDetect, Work::None).await {
        Ok(_) => Fault::NotImplemented("Videos are not supported by this version of the service.".into()),
        Err(fault) => fault,
    }
}

async fn receive_json<T: serde::de::DeserializeOwned + Send + 'static>(
    state: &State,
    request: Request,
    permission: Permission,
) -> Result<(T, Received<()>), Fault> {
    let received = receive_whole(state, request, permission, &JSON_BODY).await?;
    let Received { body, caller, context, ticket } = received;
    Ok((json::read(body).await?, Received { body: (), caller, context, ticket }))
}

/// Answers a call of gRPC with one message each way.
async fn unary<Q: Message + Default, A: Message>(
    state: &State,
    request: Request,
    permission: Permission,
    work: impl AsyncFnOnce(Q, &RequestContext) -> Result<A, Fault>,
) -> Response {
    let about = About::of(&request);
    let is_grpc = grpc::is_grpc(request.headers());
    let is_compressed = grpc::is_compressed(request.headers());
    let reads_gzip = grpc::reads_gzip(request.headers());
    let answered = async {
        let deadline = grpc::deadline(request.headers(), about.received)?;
        let receive = async {
            let mut received = receive_whole(state, request, permission, &GRPC_BODY).await?;
            let body = std::mem::take(&mut received.body);
            let message = grpc::read(body, is_compressed, &mut received.ticket).await?;
            Ok((message, received))
        };
        let (message, mut received) = until(deadline, receive).await?;
        received.context.timeout = deadline.map(|deadline| deadline.duration_since(Instant::now()));
        let answer = work(message, &received.context).await?;
        grpc::answered(&answer, about.headers(&received.context), reads_gzip)
    };
    answered.await.unwrap_or_else(|fault| {
        let mut response = answer::refused(&fault, Family::Grpc);
        if !is_grpc {
            // So the protocol asks; whoever reads no gRPC reads this.
            *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        response
    })
}

/// Does the first part of a context, for as long as its caller waits.
async fn until<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match deadline {
        None => work.await,
        Some(deadline) => {
            timeout_at(deadline, work).await.unwrap_or(Err(Fault::DeadlineRunning { callers_own: true }))
        }
    }
}

/// What is told of a request besides its answer.
struct About {
    received: Instant,
    reference_number: Option<HeaderValue>,
}

impl About {
    fn of(request: &Request) -> Self {
        // What is no text cannot be a trailer of gRPC.
        let is_text = |value: &&HeaderValue| value.to_str().is_ok_and(|text| !text.contains('\t'));
        let reference_number = request.headers().get(REFERENCE_NUMBER).filter(is_text).cloned();
        Self { received: Instant::now(), reference_number }
    }

    fn headers(self, context: &RequestContext) -> HeaderMap {
        let Self { received, reference_number } = self;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(JOB_ID, job_id(context.job));
        headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        let milliseconds = u64::try_from(received.elapsed().as_millis()).unwrap_or(u64::MAX);
        headers.insert(RESPONSE_TIME, HeaderValue::from(milliseconds));
        let none = HeaderValue::from_static("");
        headers.insert(REFERENCE_NUMBER, reference_number.unwrap_or(none));
        headers
    }

    fn json(self, context: &RequestContext, answer: &impl serde::Serialize) -> Result<Response, Fault> {
        let mut response = answer::text(crate::families::json::answer(answer)?);
        response.headers_mut().extend(self.headers(context));
        Ok(response)
    }
}

/// Hexadecimal digits and dashes are a header.
fn job_id(job: JobId) -> HeaderValue {
    HeaderValue::from_str(&job.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
