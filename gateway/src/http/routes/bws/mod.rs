//! Handlers of BWS: `rest` with `json`, the bodies that it reads, and `grpc`. `headers` are those that both add to
//! answers.

mod grpc;
mod headers;
mod json;
mod rest;

use super::route::Route;

pub(super) fn routes() -> impl Iterator<Item = Route> {
    rest::routes().into_iter().chain(grpc::routes())
}
