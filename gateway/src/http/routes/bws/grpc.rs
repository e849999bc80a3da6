//! BWS over gRPC.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use prost::Message;
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;
use crate::http::family::Family;
use crate::http::grpc::headers::{accepts_gzip, is_compressed};
use crate::http::grpc::message::{self, RequestMessage};
use crate::http::grpc::reply::reply;
use crate::http::grpc::timeout::deadline;
use crate::http::intake::content_type::is_grpc;
use crate::http::intake::receive::receive_whole;
use crate::http::layers::BwsHeaders;
use crate::http::routes::route::Route;
use crate::http::{GatewayState, answer, operations};
use crate::proto::v1::{
    LivenessDetectionRequest, LivenessDetectionResponse, PhotoVerifyRequest, PhotoVerifyResponse,
    VideoLivenessDetectionRequest,
};
use crate::request::RequestContext;

pub(super) fn routes() -> [Route; 3] {
    [
        Route::new(&operations::GRPC_LIVENESS_DETECTION, detect_liveness),
        Route::new(&operations::GRPC_PHOTO_VERIFY, verify_photo),
        Route::new(&operations::GRPC_VIDEO_LIVENESS_DETECTION, detect_video_liveness),
    ]
}

async fn detect_liveness(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    let answered = unary(&state, request, async |message: LivenessDetectionRequest, context| {
        state.bws.detect_liveness(message.into(), context).await.map(LivenessDetectionResponse::from)
    });
    Box::pin(answered).await
}

async fn verify_photo(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    let answered = unary(&state, request, async |message: PhotoVerifyRequest, context| {
        state.bws.verify_photo(message.into(), context).await.map(PhotoVerifyResponse::from)
    });
    Box::pin(answered).await
}

async fn detect_video_liveness(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    let answered = unary(&state, request, async |message: VideoLivenessDetectionRequest, context| {
        state.bws.detect_video_liveness(message.video, context).await.map(LivenessDetectionResponse::from)
    });
    Box::pin(answered).await
}

/// Answers a call with one message each way.
async fn unary<Q: RequestMessage, A: Message>(
    state: &GatewayState,
    request: Request,
    service: impl AsyncFnOnce(Q, &RequestContext) -> Result<A, Fault>,
) -> Response {
    let headers = request.extensions().get().cloned();
    let headers: BwsHeaders = headers.unwrap_or_else(|| BwsHeaders::of(request.headers()));
    let is_grpc = is_grpc(request.headers());
    let is_compressed = is_compressed(request.headers());
    let accepts_gzip = accepts_gzip(request.headers());
    let answered = async {
        let deadline = deadline(request.headers(), headers.received())?;
        let receive = async {
            let mut received = receive_whole(state, request).await?;
            let body = std::mem::take(&mut received.body);
            let message = message::read(body, is_compressed, &mut received.permit).await?;
            Ok((message, received))
        };
        let (message, mut received) = before(deadline, receive).await?;
        received.context.timeout = deadline.map(|deadline| deadline.duration_since(Instant::now()));
        let answer = service(message, &received.context).await?;
        reply(&answer, headers.now(), accepts_gzip)
    };
    answered.await.unwrap_or_else(|fault| {
        let mut response = answer::refused(&fault, Family::Grpc);
        if !is_grpc {
            // The protocol requires this status. Callers that do not use gRPC understand it, too.
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        response
    })
}

/// Runs the reception of a call, which fails when the caller's deadline passes. The job's own wait observes the
/// deadline by itself.
async fn before<T>(
    deadline: Option<Instant>,
    reception: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match deadline {
        None => reception.await,
        Some(deadline) => {
            timeout_at(deadline, reception).await.unwrap_or(Err(Fault::DeadlineRunning { callers_own: true }))
        }
    }
}
