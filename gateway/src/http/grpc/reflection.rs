//! What can be asked for, for programs such as grpcurl; in both versions of the protocol that they speak.

use std::sync::Arc;

use axum::Router;
use tonic_reflection::server::{Builder, Error};

use crate::http::State;
use crate::http::routes::operation;
use crate::proto;

pub(super) fn routes() -> Router<Arc<State>> {
    described().unwrap_or_else(|error| {
        tracing::error!(%error, "the services cannot be described");
        Router::new()
    })
}

fn described() -> Result<Router<Arc<State>>, Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Router::new()
        .route_service(operation::GRPC_REFLECTION, builder().build_v1()?)
        .route_service(operation::GRPC_REFLECTION_ALPHA, builder().build_v1alpha()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_services_can_be_described() {
        assert!(super::described().is_ok());
    }
}
