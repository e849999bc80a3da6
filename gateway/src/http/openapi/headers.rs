//! Headers of answers, and the one that BWS reads.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Header, ObjectBuilder, Ref, ResponseBuilder, Type};

use super::names::{BEARER, CAPTURE_TOKEN};

/// The header of every answer.
const REQUEST_ID: &str = "X-Request-Id";
/// Headers of answers to requests that count against a rate, without their policy.
const RATE: [(&str, &str); 3] = [
    ("RateLimit-Limit", "The limit that the key reaches first: the burst of its rate, or its quota."),
    ("RateLimit-Remaining", "The requests that remain of `RateLimit-Limit`."),
    ("RateLimit-Reset", "Seconds until all of `RateLimit-Limit` is available again."),
];
const RATE_POLICY: &str = "RateLimit-Policy";
const REPLAYED: &str = "Idempotency-Replayed";
pub(super) const RETRY_AFTER: &str = "Retry-After";
pub(super) const DEPRECATION: &str = "Deprecation";
pub(super) const LINK: &str = "Link";
pub(super) const LOCATION: &str = "Location";
pub(super) const CHALLENGE: &str = "WWW-Authenticate";
/// Headers that BWS adds to every answer.
const BWS: [(&str, &str); 4] = [
    ("jobid", "The id of the job. The log line of a refused request has it, too."),
    ("bws-version", "The version of the service."),
    ("response-time-ms", "The duration of the request in milliseconds."),
    ("reference-number", "The `Reference-Number` of the request; empty if it has none."),
];

/// Adds the headers of every answer, and those of rates where the request counts.
pub(super) fn add_common(mut response: ResponseBuilder, counts: bool) -> ResponseBuilder {
    response = response.header_ref(REQUEST_ID, reference_to(REQUEST_ID));
    if counts {
        for (name, _) in RATE {
            response = response.header_ref(name, reference_to(name));
        }
        response = response.header_ref(RATE_POLICY, reference_to(RATE_POLICY));
    }
    response
}

/// Adds the headers of BWS.
pub(super) fn add_bws(mut response: ResponseBuilder) -> ResponseBuilder {
    for (name, _) in BWS {
        response = response.header_ref(name, reference_to(name));
    }
    response
}

/// Adds the header of an answer that an earlier request may have got already.
pub(super) fn add_replayed(response: ResponseBuilder) -> ResponseBuilder {
    response.header_ref(REPLAYED, reference_to(REPLAYED))
}

/// A reference to a header.
pub(super) fn reference_to(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// All headers, with their names.
pub(super) fn all() -> Vec<(&'static str, Header)> {
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
    let token = text().pattern(Some("^[A-Za-z0-9_-]+$"));
    let since = text().pattern(Some("^@[0-9]+$"));
    let id = text().pattern(Some("^[A-Za-z0-9_.:/+=-]{1,128}$"));
    let mut all = vec![
        (LOCATION, with("The path of the created resource, below /bioserver-app.", location)),
        (CAPTURE_TOKEN, with("What the device sends in place of a key.", token)),
        (DEPRECATION, with("The time since which the operation is deprecated (RFC 9745).", since)),
        (LINK, with("The operation that replaces this one.", text())),
        (RETRY_AFTER, with("Seconds to wait before the next attempt.", count(1))),
        (REQUEST_ID, with("The request's id: the caller's own, or a new one.", id)),
        (REPLAYED, with("Present if this is the stored answer to an earlier, equal request.", replayed)),
        (RATE_POLICY, with("All limits of the key.", policy)),
        (CHALLENGE, with("How to authenticate.", text().examples([BEARER, "Basic realm=\"faceline\""]))),
    ];
    all.extend(RATE.map(|(name, text)| (name, with(text, count(0)))));
    all.extend(bws());
    all
}

fn bws() -> Vec<(&'static str, Header)> {
    let header = |(name, text): (&'static str, &str)| {
        let kind = if name == "response-time-ms" { Type::Integer } else { Type::String };
        let schema = ObjectBuilder::new().schema_type(kind);
        (name, HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build())
    };
    BWS.into_iter().map(header).collect()
}

/// The request header that BWS repeats.
pub(super) fn reference_number() -> Parameter {
    ParameterBuilder::new()
        .name("Reference-Number")
        .parameter_in(ParameterIn::Header)
        .description(Some("The caller's own reference, which the answer and the usage record repeat."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[ -~]{0,256}$"))))
        .build()
}
