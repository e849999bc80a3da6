//! A row of the table of operations with its handler.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};
use tower::Service;

use crate::http::GatewayState;
use crate::http::operations::{HttpMethod, Operation};

type GatewayRouter = Router<Arc<GatewayState>>;
/// Adds a handler to a router at a path.
type AddRoute = Box<dyn FnOnce(GatewayRouter, &str) -> GatewayRouter>;

/// An operation with its handler.
pub(in crate::http) struct Route {
    pub(super) operation: &'static Operation,
    add: AddRoute,
}

impl Route {
    /// Serves the operation with a handler.
    pub(in crate::http) fn new<H, T>(operation: &'static Operation, handler: H) -> Self
    where
        H: Handler<T, Arc<GatewayState>>,
        T: 'static,
    {
        let method = match operation.method {
            HttpMethod::Get => MethodFilter::GET,
            HttpMethod::Post => MethodFilter::POST,
            HttpMethod::Delete => MethodFilter::DELETE,
        };
        Self { operation, add: Box::new(move |router, path| router.route(path, on(method, handler))) }
    }

    /// Serves the operation with a gRPC service, which also answers requests with another method.
    pub(in crate::http) fn service<S>(operation: &'static Operation, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse + 'static,
        S::Future: Send + 'static,
    {
        // A method router would add `content-length: 0` to answers whose whole content is their headers.
        Self { operation, add: Box::new(move |router, path| router.route_service(path, service)) }
    }

    /// Adds the route to a router.
    pub(super) fn add_to(self, router: GatewayRouter) -> GatewayRouter {
        (self.add)(router, self.operation.path)
    }
}
