//! Operations without a credential: health, public keys, and the descriptions of the API.

use super::body::Body;
use super::description::{Description, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::http::family::Family;

/// The public keys that verify signatures, as a JWK set.
pub static JWKS: Operation = Operation {
    name: "jwks",
    method: HttpMethod::Get,
    path: "/.well-known/jwks.json",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Public,
        summary: "Read the keys that verify signatures",
        details: "",
        success: Success::Keys,
        refusals: &[],
    }),
};

/// The same keys as certificates.
pub static SIGNING_CERTIFICATE: Operation = Operation {
    name: "signing_certificate",
    method: HttpMethod::Get,
    path: "/.well-known/signing-certificate.pem",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Public,
        summary: "Read the certificates of the keys that verify signatures",
        details: "",
        success: Success::Text("application/x-pem-file"),
        refusals: &[],
    }),
};

/// Reports that the process runs.
pub static LIVEZ: Operation = Operation {
    name: "livez",
    method: HttpMethod::Get,
    path: "/livez",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Public,
        summary: "Check whether the process runs",
        details: "",
        success: Success::Text("text/plain"),
        refusals: &[],
    }),
};

/// Reports whether the process can do its work.
pub static READYZ: Operation = Operation {
    name: "readyz",
    method: HttpMethod::Get,
    path: "/readyz",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Public,
        summary: "Check whether the process can do its work",
        details: "The answer is `ok`, or `not ready:` and what is missing. A second line, `degraded:`, names \
                  shared services that are unreachable; the process is ready nevertheless.",
        success: Success::Text("text/plain"),
        refusals: &[503],
    }),
};

/// The description of the API for programs.
pub static OPENAPI: Operation = Operation {
    name: "openapi",
    method: HttpMethod::Get,
    path: "/openapi.json",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: None,
};

/// Redirects to the page of [`DOCS`].
pub static DOCS_WITHOUT_SLASH: Operation = Operation {
    name: "docs",
    method: HttpMethod::Get,
    path: "/docs",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: None,
};

/// The description of the API for people, on a page where requests can be tried.
pub static DOCS: Operation = Operation {
    name: "docs",
    method: HttpMethod::Get,
    path: "/docs/",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: None,
};

/// A file of the page of [`DOCS`].
pub static DOCS_FILE: Operation = Operation {
    name: "docs",
    method: HttpMethod::Get,
    path: "/docs/{file}",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: None,
};

/// Liveness and readiness, in the protocol of gRPC.
pub static GRPC_HEALTH_CHECK: Operation = Operation {
    name: "grpc_health",
    method: HttpMethod::Post,
    path: "/grpc.health.v1.Health/Check",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::GrpcService,
    description: None,
};

/// The same, and every change of it.
pub static GRPC_HEALTH_WATCH: Operation = Operation {
    name: "grpc_health",
    method: HttpMethod::Post,
    path: "/grpc.health.v1.Health/Watch",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::GrpcService,
    description: None,
};

/// The gRPC services and their messages.
pub static GRPC_REFLECTION: Operation = Operation {
    name: "grpc_reflection",
    method: HttpMethod::Post,
    path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::GrpcService,
    description: None,
};

/// The same in the protocol's previous version.
pub static GRPC_REFLECTION_ALPHA: Operation = Operation {
    name: "grpc_reflection",
    method: HttpMethod::Post,
    path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::GrpcService,
    description: None,
};
