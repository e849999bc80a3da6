//! gRPC's health service, `grpc.health.v1`, over the health checks that the operators' listener uses, too.

use std::pin::Pin;

use faceline_shared::admin::Readiness;
use faceline_shared::admin::health::HealthSubject;
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::operations;
use crate::http::routes::route::Route;

/// Maximum bytes of a request, which contains only a service's name.
const MAX_REQUEST_BYTES: usize = 4 << 10;
/// Services that are ready when the gateway is.
const SERVICES: [&str; 1] = ["bioid.services.v1.BioIDWebService"];

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

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn serving(is_serving: bool) -> HealthCheckResponse {
    response(if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing })
}

type Responses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match HealthSubject::of_service(&request.into_inner().service, &SERVICES) {
            Some(subject) => Ok(Response::new(serving(subject.is_serving(&self.readiness)))),
            None => Err(Status::not_found("there is no such service")),
        }
    }

    type WatchStream = Responses;

    /// Sends the current status, then each change. The stream stays open also for a status that never changes.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Responses>, Status> {
        let responses: Responses = match HealthSubject::of_service(&request.into_inner().service, &SERVICES) {
            Some(subject) => {
                Box::pin(subject.watch(&self.readiness).map(|is_serving| Ok(serving(is_serving))))
            }
            None => {
                let unknown = stream::once(async { Ok(response(ServingStatus::ServiceUnknown)) });
                Box::pin(unknown.chain(stream::pending()))
            }
        };
        Ok(Response::new(responses))
    }
}
