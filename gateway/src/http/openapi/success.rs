//! Answers to requests that succeed.

use utoipa::ToSchema as _;
use utoipa::openapi::{Content, ObjectBuilder, RefOr, ResponseBuilder, Schema, Type};

use super::headers::{self, DEPRECATION, LINK, LOCATION};
use super::names::CAPTURE_TOKEN;
use crate::families::biometric::schema::{self, reference};
use crate::families::face_liveness;
use crate::http::operations::Success;
use crate::signing::JwkSet;

/// The responses with their statuses.
pub(super) fn responses(success: Success) -> Vec<(&'static str, ResponseBuilder)> {
    let json = |schema| Content::new(Some(schema));
    let with = |text: &str| ResponseBuilder::new().description(text);
    match success {
        Success::One(name) => {
            vec![("200", with("Success.").content("application/json", json(reference(name))))]
        }
        Success::NewReplay(name) => {
            let response = with("Success.").content("application/json", json(reference(name)));
            vec![("200", response.header_ref(CAPTURE_TOKEN, headers::reference_to(CAPTURE_TOKEN)))]
        }
        Success::NewWebCapture => {
            let response = with("Created.").header_ref(LOCATION, headers::reference_to(LOCATION));
            vec![("201", response.header_ref(CAPTURE_TOKEN, headers::reference_to(CAPTURE_TOKEN)))]
        }
        Success::Deprecated(name) => {
            let mut response = with("Success.").content("application/json", json(reference(name)));
            for header in [DEPRECATION, LINK] {
                response = response.header_ref(header, headers::reference_to(header));
            }
            vec![("200", response)]
        }
        Success::Liveness => {
            let answer = json(reference(&face_liveness::LivenessAnswer::name()));
            vec![(
                "200",
                with("The picture's score, or an error of the picture.").content("application/json", answer),
            )]
        }
        Success::List(name) => {
            vec![("200", with("Success.").content("application/json", json(schema::list(name))))]
        }
        Success::Created => {
            vec![("201", with("Created.").header_ref(LOCATION, headers::reference_to(LOCATION)))]
        }
        Success::Accepted => vec![("202", with("Accepted."))],
        Success::NoContent => vec![("204", with("Deleted."))],
        Success::Picture => {
            let file = || Content::new::<RefOr<Schema>>(None);
            let found =
                with("The file.").content("image/*", file()).content("application/octet-stream", file());
            vec![("200", found), ("204", with("The picture was not kept."))]
        }
        Success::Keys => {
            let keys = json(reference(&JwkSet::name()));
            vec![("200", with("The keys.").content("application/jwk-set+json", keys))]
        }
        Success::Text(kind) => {
            let text = json(ObjectBuilder::new().schema_type(Type::String).into());
            vec![("200", with("Success.").content(kind, text))]
        }
    }
}
