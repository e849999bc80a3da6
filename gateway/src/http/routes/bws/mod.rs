//! Handlers of BWS: `rest` with `json`, the bodies that it reads, and `grpc`.

mod grpc;
mod json;
mod rest;

use super::route::Route;

pub(super) fn routes() -> impl Iterator<Item = Route> {
    rest::routes().into_iter().chain(grpc::routes())
}
