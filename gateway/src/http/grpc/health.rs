//! gRPC's health service, `grpc.health.v1`: the service name `liveness` stands for /livez, all others for /readyz.

use std::pin::Pin;

use faceline_shared::admin::Readiness;
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::operations;
use crate::http::routes::route::Route;

/// Bytes of a request, which is only a service's name.
const MAX_REQUEST_BYTES: usize = 4 << 10;

/// The routes of the health service.
pub(in crate::http) fn routes(readiness: &Readiness) -> [Route; 2] {
    let service = HealthServer::new(HealthService { readiness: readiness.clone() })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    [
        Route::service(&operations::GRPC_HEALTH_CHECK, service.clone()),
        Route::service(&operations::GRPC_HEALTH_WATCH, service),
    ]
}

struct HealthService {
    readiness: Readiness,
}

/// What a service's name stands for.
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
impl Health for HealthService {
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

    /// Sends the current status, then each change. The stream stays open also for a status that never changes.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Responses>, Status> {
        let constant = |status| stream::once(async move { Ok(status) }).chain(stream::pending());
        let responses: Responses = match Subject::named(&request.into_inner().service) {
            Some(Subject::Liveness) => Box::pin(constant(serving(true))),
            None => Box::pin(constant(response(ServingStatus::ServiceUnknown))),
            Some(Subject::Readiness) => {
                let next = async |(readiness, last): (Readiness, Option<bool>)| {
                    let now = match last {
                        None => readiness.is_ready(),
                        Some(last) => {
                            readiness.until(!last).await;
                            !last
                        }
                    };
                    Some((Ok(serving(now)), (readiness, Some(now))))
                };
                Box::pin(stream::unfold((self.readiness.clone(), None), next))
            }
        };
        Ok(Response::new(responses))
    }
}
