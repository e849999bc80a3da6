//! Server reflection, with which tools such as grpcurl list the services and their messages; in both versions of its
//! protocol.

use tonic_reflection::server::{Builder, Error};

use crate::http::operations;
use crate::http::routes::route::Route;
use crate::proto;

/// The routes of reflection.
pub(in crate::http) fn routes() -> Vec<Route> {
    services().map_or_else(
        |error| {
            tracing::error!(%error, "gRPC reflection is not served: the services cannot be described");
            Vec::new()
        },
        Vec::from,
    )
}

fn services() -> Result<[Route; 2], Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok([
        Route::service(&operations::GRPC_REFLECTION, builder().build_v1()?),
        Route::service(&operations::GRPC_REFLECTION_ALPHA, builder().build_v1alpha()?),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_services_can_be_described() {
        assert!(super::services().is_ok());
    }
}
