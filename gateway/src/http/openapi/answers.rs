//! What callers get: headers, answers, and the error object.

use std::borrow::Cow;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{
    Content, ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::{BEARER, bws};
use crate::families::biometric::schema::{self, Named, reference};
use crate::families::face_liveness;
use crate::http::answer::family::{BwsError, ErrorObject, Family};
use crate::signing::JwkSet;

/// Header of every answer.
const REQUEST_ID: &str = "X-Request-Id";
/// Headers of answers to requests that count.
const RATE: [(&str, &str); 3] = [
    ("RateLimit-Limit", "Requests that the key may send in the present window."),
    ("RateLimit-Remaining", "Requests that are left of it."),
    ("RateLimit-Reset", "Seconds until all of it is there again."),
];
const RATE_POLICY: &str = "RateLimit-Policy";
const REPLAYED: &str = "Idempotency-Replayed";
const RETRY_AFTER: &str = "Retry-After";
const LOCATION: &str = "Location";
const CHALLENGE: &str = "WWW-Authenticate";
/// When those of the examples may come again.
pub(super) const SOON: Duration = Duration::from_secs(2);
/// Statuses that Face Liveness refuses requests with, in its own form.
const OF_FACE_LIVENESS: [u16; 6] = [400, 401, 403, 413, 429, 503];
/// The families that have refusals of their own, and what the names of these begin with.
const FAMILIES: [(Family, &str); 3] =
    [(Family::BiometricServices, ""), (Family::Bws, "Bws"), (Family::FaceLiveness, "Liveness")];

/// What a request that succeeds is answered with.
#[derive(Clone, Copy)]
pub(super) enum Success {
    /// 200 with one of these.
    One(&'static str),
    /// 200 with what Face Liveness found.
    Liveness,
    /// 200 with a list of these.
    List(&'static str),
    /// 201.
    Created,
    /// 204.
    Nothing,
    /// 200 with a picture, or 204.
    Picture,
    /// 200 with public keys.
    Keys,
    /// 200 with text of this media type.
    Text(&'static str),
}

impl Success {
    pub(super) fn responses(self) -> Vec<(&'static str, ResponseBuilder)> {
        let json = |schema| Content::new(Some(schema));
        let with = |text: &str| ResponseBuilder::new().description(text);
        match self {
            Self::One(name) => {
                vec![("200", with("Done.").content("application/json", json(reference(name))))]
            }
            Self::Liveness => {
                let answer = json(reference(&face_liveness_answer()));
                vec![(
                    "200",
                    with("Judged, or something is wrong with the picture.")
                        .content("application/json", answer),
                )]
            }
            Self::List(name) => {
                vec![("200", with("Done.").content("application/json", json(schema::list(name))))]
            }
            Self::Created => vec![("201", with("Created.").header_ref(LOCATION, header(LOCATION)))],
            Self::Nothing => vec![("204", with("Deleted."))],
            Self::Picture => {
                let file = || Content::new::<RefOr<Schema>>(None);
                let found =
                    with("The file.").content("image/*", file()).content("application/octet-stream", file());
                vec![("200", found), ("204", with("The picture was not kept."))]
            }
            Self::Keys => {
                let keys = json(reference(&JwkSet::name()));
                vec![("200", with("The keys.").content("application/jwk-set+json", keys))]
            }
            Self::Text(kind) => {
                let text = json(ObjectBuilder::new().schema_type(Type::String).into());
                vec![("200", with("Done.").content(kind, text))]
            }
        }
    }
}

/// Adds the headers of an answer; those of rates where the request counts.
pub(super) fn with_headers(mut response: ResponseBuilder, counts: bool) -> ResponseBuilder {
    response = response.header_ref(REQUEST_ID, header(REQUEST_ID));
    if counts {
        for (name, _) in RATE {
            response = response.header_ref(name, header(name));
        }
        response = response.header_ref(RATE_POLICY, header(RATE_POLICY));
    }
    response
}

/// Adds the headers of an answer of BWS.
pub(super) fn with_bws(mut response: ResponseBuilder) -> ResponseBuilder {
    for (name, _) in bws::HEADERS {
        response = response.header_ref(name, header(name));
    }
    response
}

/// Adds the header of an answer that may have been given before.
pub(super) fn with_replayed(response: ResponseBuilder) -> ResponseBuilder {
    response.header_ref(REPLAYED, header(REPLAYED))
}

fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// All headers.
pub(super) fn headers() -> Vec<(&'static str, Header)> {
    let with = |text: &str, schema: ObjectBuilder| {
        HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build()
    };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let count = |least: i64| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
    let uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    let location = text()
        .pattern(Some(format!("^/v2/bio-sessions/{uuid}(/faces/{uuid})?$")))
        .examples(["/v2/bio-sessions/0991cedc-9111-4b9d-9e4e-8d6eb4db488f"]);
    let replayed = text().enum_values(Some(["true"]));
    let policy = text().examples(["50;w=1;burst=100"]);
    let id = text().pattern(Some("^[A-Za-z0-9_.:/+=-]{1,128}$"));
    let mut all = vec![
        (LOCATION, with("Where what was created is, below /bioserver-app.", location)),
        (RETRY_AFTER, with("When to come again, in seconds.", count(1))),
        (REQUEST_ID, with("The request's id: the caller's own, or a new one.", id)),
        (REPLAYED, with("The answer was given before.", replayed)),
        (RATE_POLICY, with("All that bounds the key.", policy)),
        (CHALLENGE, with("How to show who calls.", text().examples([BEARER, "Basic realm=\"faceline\""]))),
    ];
    all.extend(RATE.map(|(name, text)| (name, with(text, count(0)))));
    all.extend(bws::headers());
    all
}

/// Schemas of this module's answers.
pub(super) fn schemas() -> Vec<Named> {
    let mut all = vec![
        (ErrorObject::name().into_owned(), ErrorObject::schema()),
        (face_liveness_answer().into_owned(), face_liveness::LivenessAnswer::schema()),
        (JwkSet::name().into_owned(), JwkSet::schema()),
    ];
    JwkSet::schemas(&mut all);
    all
}

/// A refusal that an operation may answer with: its name in the document, the fault, and when that happens.
fn known() -> Vec<(&'static str, Fault, &'static str)> {
    let busy = |cause| Fault::busy(cause, SOON);
    vec![
        (
            "Invalid",
            Fault::Invalid("`image` is missing".into()),
            "The request is not of the form, or its content cannot be used.",
        ),
        ("Unauthenticated", Fault::Unauthenticated, "No key, or a wrong one."),
        ("Forbidden", Fault::Forbidden("match"), "The key does not allow this."),
        (
            "NotFound",
            Fault::NotFound("Session not found".into()),
            "There is no such session or face, or it belongs to another client.",
        ),
        (
            "InProgress",
            Fault::InProgress { retry_after: SOON },
            "The request with this key is still in progress.",
        ),
        (
            "TooLarge",
            Fault::TooLarge { limit: 10 << 20, place: " in image".into() },
            "The body, or a picture in it, is too long.",
        ),
        ("KeyReused", Fault::KeyReused, "The Idempotency-Key was used for another request."),
        ("Busy", busy(BusyCause::Wait), "The rate of the key is exceeded, or there is no room now."),
        ("NotWorking", Fault::NotWorking, "The instance lacks something that it needs; /readyz says what."),
        ("Unavailable", busy(BusyCause::BrokerUnreachable), "The broker or a store is away."),
    ]
}

/// The name of what Face Liveness answers with.
pub(super) fn face_liveness_answer() -> Cow<'static, str> {
    face_liveness::LivenessAnswer::name()
}

/// What the names of a family's refusals begin with.
fn prefix(family: Family) -> &'static str {
    FAMILIES.iter().find(|(other, _)| *other == family).map_or("", |(_, prefix)| prefix)
}

/// What a family may refuse requests with.
fn known_of(family: Family) -> Vec<(&'static str, Fault, &'static str)> {
    match family {
        Family::BiometricServices => known(),
        Family::Bws | Family::Grpc => bws::known(),
        Family::FaceLiveness => {
            let is_its = |fault: &Fault| OF_FACE_LIVENESS.contains(&family.status(&fault.row()));
            known().into_iter().filter(|(_, fault, _)| is_its(fault)).collect()
        }
    }
}

/// The name of the refusal with this status.
pub(super) fn refusal(status: u16, family: Family) -> Option<Ref> {
    let found = known_of(family).into_iter().find(|(_, fault, _)| family.status(&fault.row()) == status);
    found.map(|(name, ..)| Ref::from_response_name(format!("{}{name}", prefix(family))))
}

/// What /readyz says while something is missing.
pub(super) fn not_ready() -> Response {
    let text = Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
    let response = ResponseBuilder::new().description("What is missing.").content("text/plain", text);
    with_headers(response, false).build()
}

/// Whatever else goes wrong.
pub(super) fn failure(family: Family) -> Ref {
    Ref::from_response_name(format!("{}Failure", prefix(family)))
}

/// All refusals.
pub(super) fn refusals() -> Vec<(String, Response)> {
    let mut all = Vec::new();
    for (family, prefix) in FAMILIES {
        let mut add = |name: &str, fault: &Fault, text: &str| {
            all.push((format!("{prefix}{name}"), response(fault, text, family)));
        };
        for (name, fault, text) in known_of(family) {
            add(name, &fault, text);
        }
        add("Failure", &Fault::Internal, "Anything else, such as an internal error.");
    }
    all
}

fn response(fault: &Fault, text: &str, family: Family) -> Response {
    let (schema, example) = match family {
        Family::BiometricServices => {
            let id = "a5ac0455-8d99-4d73-835c-c656b5aba41e";
            (ErrorObject::name(), serde_json::json!({ "id": id, "message": fault.to_string() }))
        }
        Family::Bws | Family::Grpc => (BwsError::name(), bws::example(fault)),
        Family::FaceLiveness => {
            (face_liveness_answer(), serde_json::json!(face_liveness::LivenessAnswer::refused(None, fault)))
        }
    };
    let object = ContentBuilder::new().schema(Some(reference(&schema))).example(Some(example));
    let mut response = ResponseBuilder::new().description(text).content("application/json", object.build());
    if fault.retry_after_seconds().is_some() {
        response = response.header_ref(RETRY_AFTER, header(RETRY_AFTER));
    }
    if family != Family::BiometricServices && *fault == Fault::Unauthenticated {
        response = response.header_ref(CHALLENGE, header(CHALLENGE));
    }
    with_headers(response, !matches!(fault, Fault::Unauthenticated | Fault::Forbidden(_))).build()
}
