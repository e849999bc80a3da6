//! Answers to requests that are refused or fail.

use std::time::Duration;

use serde_json::json;
use utoipa::ToSchema as _;
use utoipa::openapi::{Content, ContentBuilder, ObjectBuilder, Ref, Response, ResponseBuilder, Type};

use super::headers::{self, CHALLENGE, RETRY_AFTER};
use crate::families::biometric::schema::reference;
use crate::families::face_liveness;
use crate::fault::{BusyCause, Fault};
use crate::http::answer::{self, BwsError, ErrorObject};
use crate::http::family::Family;

/// The `Retry-After` of examples.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Statuses of the refusals of Face Liveness.
const FACE_LIVENESS_STATUSES: [u16; 6] = [400, 401, 403, 413, 429, 503];
/// Families with a form of refusals of their own, and the prefix of their names.
const PREFIXES: [(Family, &str); 3] =
    [(Family::BiometricServices, ""), (Family::Bws, "Bws"), (Family::FaceLiveness, "Liveness")];

/// The refusals of Biometric Services: name, example, and when they happen.
fn biometric_services() -> Vec<(&'static str, Fault, &'static str)> {
    let busy = |cause| Fault::busy(cause, RETRY_DELAY);
    vec![
        (
            "Invalid",
            Fault::Invalid("`image` is missing".into()),
            "The request is malformed, or its content cannot be used.",
        ),
        ("Unauthenticated", Fault::Unauthenticated, "The credential is missing or wrong."),
        ("Forbidden", Fault::Forbidden("match"), "The key lacks the permission."),
        (
            "NotFound",
            Fault::NotFound("Session not found".into()),
            "There is no such session or face, or it belongs to another client.",
        ),
        ("SlowBody", Fault::SlowBody, "The body arrives too slowly."),
        (
            "InProgress",
            Fault::InProgress { retry_after: RETRY_DELAY },
            "A request with this Idempotency-Key is still in progress, or the session's state forbids this.",
        ),
        (
            "TooLarge",
            Fault::TooLarge { limit: 10 << 20, place: " in image".into() },
            "The body, or a picture in it, is too large.",
        ),
        ("KeyReused", Fault::KeyReused, "The Idempotency-Key was used for another request."),
        ("Busy", busy(BusyCause::Wait), "The key's rate or quota is exceeded, or the service is busy."),
        ("NotWorking", Fault::NotWorking, "The instance lacks something that it needs; /readyz names it."),
        ("Unavailable", busy(BusyCause::BrokerUnreachable), "The broker or a store is unreachable."),
    ]
}

/// The prefix of the names of a family's refusals.
fn prefix(family: Family) -> &'static str {
    PREFIXES.iter().find(|(other, _)| *other == family).map_or("", |(_, prefix)| prefix)
}

/// The refusals of a family.
fn of_family(family: Family) -> Vec<(&'static str, Fault, &'static str)> {
    match family {
        Family::BiometricServices => biometric_services(),
        Family::Bws | Family::Grpc => bws(),
        Family::FaceLiveness => {
            let is_its =
                |fault: &Fault| FACE_LIVENESS_STATUSES.contains(&answer::status(family, &fault.row()));
            biometric_services().into_iter().filter(|(_, fault, _)| is_its(fault)).collect()
        }
    }
}

/// A reference to the refusal with this status.
pub(super) fn reference_to(status: u16, family: Family) -> Option<Ref> {
    let found =
        of_family(family).into_iter().find(|(_, fault, _)| answer::status(family, &fault.row()) == status);
    found.map(|(name, ..)| Ref::from_response_name(format!("{}{name}", prefix(family))))
}

/// The answer of /readyz while a condition does not hold.
pub(super) fn not_ready() -> Response {
    let text = Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
    let response = ResponseBuilder::new().description("The missing conditions.").content("text/plain", text);
    headers::add_common(response, false).build()
}

/// A reference to the response for all other errors.
pub(super) fn reference_to_default(family: Family) -> Ref {
    Ref::from_response_name(format!("{}Failure", prefix(family)))
}

/// All refusals with their names.
pub(super) fn all() -> Vec<(String, Response)> {
    let mut all = Vec::new();
    for (family, prefix) in PREFIXES {
        let mut add = |name: &str, fault: &Fault, text: &str| {
            all.push((format!("{prefix}{name}"), response(fault, text, family)));
        };
        for (name, fault, text) in of_family(family) {
            add(name, &fault, text);
        }
        add("Failure", &Fault::Internal, "Any other error, such as an internal one.");
    }
    all
}

fn response(fault: &Fault, text: &str, family: Family) -> Response {
    let (schema, example) = match family {
        Family::BiometricServices => {
            let id = "a5ac0455-8d99-4d73-835c-c656b5aba41e";
            (ErrorObject::name(), json!({ "id": id, "message": fault.to_string() }))
        }
        Family::Bws | Family::Grpc => (BwsError::name(), bws_example(fault)),
        Family::FaceLiveness => (
            face_liveness::LivenessAnswer::name(),
            json!(face_liveness::LivenessAnswer::refused(None, fault)),
        ),
    };
    let object = ContentBuilder::new().schema(Some(reference(&schema))).example(Some(example));
    let mut response = ResponseBuilder::new().description(text).content("application/json", object.build());
    if fault.retry_after_seconds().is_some() {
        response = response.header_ref(RETRY_AFTER, headers::reference_to(RETRY_AFTER));
    }
    if family != Family::BiometricServices && *fault == Fault::Unauthenticated {
        response = response.header_ref(CHALLENGE, headers::reference_to(CHALLENGE));
    }
    if family == Family::Bws {
        response = headers::add_bws(response);
    }
    headers::add_common(response, !matches!(fault, Fault::Unauthenticated | Fault::Forbidden(_))).build()
}

/// The refusals of BWS.
fn bws() -> Vec<(&'static str, Fault, &'static str)> {
    let busy = |cause| Fault::busy(cause, RETRY_DELAY);
    vec![
        (
            "Invalid",
            Fault::Invalid("No live images have been provided.".into()),
            "The request is malformed, or a picture or video cannot be decoded.",
        ),
        ("Unauthenticated", Fault::Unauthenticated, "The token is missing or wrong."),
        ("Forbidden", Fault::Forbidden("liveness:detect"), "The key lacks the permission."),
        ("TooLarge", Fault::TooLarge { limit: 70 << 20, place: String::new() }, "The body is too large."),
        (
            "RateExceeded",
            busy(BusyCause::ClientRate),
            "The client's rate, quota or share of the capacity is exceeded.",
        ),
        (
            "Unavailable",
            busy(BusyCause::Wait),
            "The service is busy, or the broker or a store is unreachable.",
        ),
    ]
}

/// An example of an error of BWS.
fn bws_example(fault: &Fault) -> serde_json::Value {
    json!({ "code": fault.row().grpc as u8, "message": fault.to_string(), "details": [] })
}
