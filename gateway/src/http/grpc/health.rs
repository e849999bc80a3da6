//! `grpc.health.v1`, for everybody: `liveness` is /livez, everything else /readyz.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use faceline_shared::admin::Readiness;
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::State;
use crate::http::routes::operation;

/// The longest request: a service's name.
const LONGEST: usize = 4 << 10;

pub(super) fn routes(readiness: &Readiness) -> Router<Arc<State>> {
    let health =
        HealthServer::new(Service { readiness: readiness.clone() }).max_decoding_message_size(LONGEST);
    Router::new()
        .route_service(operation::GRPC_HEALTH_CHECK, health.clone())
        .route_service(operation::GRPC_HEALTH_WATCH, health)
}

struct Service {
    readiness: Readiness,
}

/// What is asked about.
#[derive(Clone, Copy)]
enum Subject {
    Liveness,
    Readiness,
}

impl Subject {
    fn named(service: &str) -> Option<Self> {
        match service {
            "liveness" => Some(Self::Liveness),
            "" | "readiness" | "bioid.services.v1.BioIDWebService" => Some(Self::Readiness),
            _ => None,
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn serving(is_ready: bool) -> HealthCheckResponse {
    response(if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing })
}

type Responses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Service {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match Subject::named(&request.into_inner().service) {
            Some(Subject::Liveness) => Ok(Response::new(serving(true))),
            Some(Subject::Readiness) => Ok(Response::new(serving(self.readiness.is_ready()))),
            None => Err(Status::not_found("there is no such service")),
        }
    }

    type WatchStream = Responses;

    /// The present status, and each one that follows. The stream of one that never changes stays open, too.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Responses>, Status> {
        let for_ever = |status| stream::once(async move { Ok(status) }).chain(stream::pending());
        let responses: Responses = match Subject::named(&request.into_inner().service) {
            Some(Subject::Liveness) => Box::pin(for_ever(serving(true))),
            None => Box::pin(for_ever(response(ServingStatus::ServiceUnknown))),
            Some(Subject::Readiness) => {
                let follow = async |(readiness, last): (Readiness, Option<bool>)| {
                    let now = match last {
                        None => readiness.is_ready(),
                        Some(last) => {
                            readiness.until(!last).await;
                            !last
                        }
                    };
                    Some((Ok(serving(now)), (readiness, Some(now))))
                };
                Box::pin(stream::unfold((self.readiness.clone(), None), follow))
            }
        };
        Ok(Response::new(responses))
    }
}
